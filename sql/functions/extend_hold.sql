-- Lets an open hold, and with it its ancestors, live p_expires_in seconds from now, within a day of its placing: the
-- heartbeat of long work. Never shortens. Callers: service. Repeatable.
-- Raises RF001 unknown_account, RF008 invalid_value, RF009 not_found, RF010 state_conflict (it is closed).
create or replace function billing.extend_hold(p_account_id text, p_hold_id text, p_expires_in integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state billing.hold_state;
begin
  perform billing._lock_account(p_account_id);
  v_state := (billing._find_hold(p_account_id, p_hold_id)).state;
  if p_expires_in not between 1 and 86400 then
    raise exception using errcode = 'RF008', message = 'A hold is extended by 1 to 86400 seconds.';
  end if;
  if v_state <> 'open' then
    raise exception using errcode = 'RF010', message = format('The hold is %s and cannot be extended.', v_state),
      detail = jsonb_build_object('state', v_state)::text;
  end if;
  perform billing._push_expiry(p_account_id, p_hold_id, now() + make_interval(secs => p_expires_in));
  return billing._hold_json(p_account_id, p_hold_id);
end $$;
