-- Gives back what a hold still holds, its open children with it; what was settled of it stays. Callers: service.
-- Repeatable: a hold that is released or expired answers as it is.
-- Raises RF001 unknown_account, RF009 not_found, RF010 state_conflict (it is settled).
create or replace function billing.release_hold(p_account_id text, p_hold_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state billing.hold_state;
begin
  perform billing._lock_account(p_account_id);
  v_state := (billing._find_hold(p_account_id, p_hold_id)).state;
  if v_state = 'settled' then
    raise exception using errcode = 'RF010', message = 'The hold is settled.', detail = '{"state": "settled"}';
  end if;
  if v_state = 'open' then
    perform billing._close_hold(p_account_id, p_hold_id, 'released');
  end if;
  return billing._hold_json(p_account_id, p_hold_id);
end $$;
