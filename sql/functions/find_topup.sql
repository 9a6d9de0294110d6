-- A top-up by its id, or null. Callers: service.
create or replace function billing.find_topup(p_topup_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._topup_json(t) from billing.topups t where t.id = p_topup_id;
$$;
