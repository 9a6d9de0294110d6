-- Puts a notice into the outbox, once per dedupe key. Internal; the caller's transaction carries it.
create or replace function billing._notify(p_account_id text, p_topic text, p_dedupe_key text, p_payload jsonb)
  returns void
  language sql volatile security definer set search_path = '' as $$
  insert into billing.outbox (account_id, topic, dedupe_key, payload)
  values (p_account_id, p_topic, p_topic || ':' || p_dedupe_key, p_payload)
  on conflict (dedupe_key) do nothing;
$$;
