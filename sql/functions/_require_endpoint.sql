-- The endpoint, locked, if the caller may manage it: its account's, or anybody who acts for all (p_account_id null).
-- Internal. Raises RF009 not_found.
create or replace function billing._require_endpoint(p_id text, p_account_id text)
  returns billing.webhook_endpoints
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints;
begin
  select * into v_endpoint from billing.webhook_endpoints
   where id = p_id and (p_account_id is null or account_id = p_account_id) for update;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such webhook endpoint.';
  end if;
  return v_endpoint;
end $$;
