-- A hold as it is. Callers: service. Raises RF001 unknown_account, RF009 not_found.
create or replace function billing.get_hold(p_account_id text, p_hold_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_hold jsonb := billing._hold_json(p_account_id, p_hold_id);
begin
  perform billing.get_account(p_account_id);
  if v_hold is null then
    raise exception using errcode = 'RF009', message = 'There is no such hold.';
  end if;
  return v_hold;
end $$;
