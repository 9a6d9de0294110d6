-- Whether the server takes no changes: a standby, or one that was set so. Callers: service.
-- Volatile on purpose: PostgREST runs a stable function in a transaction that is read-only anyhow.
create or replace function billing.is_read_only()
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  select to_jsonb(current_setting('transaction_read_only') = 'on');
$$;
