-- A run with the number of open differences that it saw, or null. Callers: service.
create or replace function billing.get_reconciliation(p_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(r) || jsonb_build_object('differences', (
      select count(*) from billing.reconciliation_differences d
       where d.resolved_at is null and d.seen_at >= r.created_at))
    from billing.reconciliations r where r.id = p_id;
$$;
