-- The answer to a settlement that was booked before, or null; refuses one that the hold's state does not allow.
-- Internal: the caller holds the account's lock. Raises RF005 idempotency_conflict, RF009 not_found, RF010 state_conflict.
-- An expired hold may be settled: what it cost is charged, although nothing is held for it any more.
create or replace function billing._settlement_replay(
  p_account_id text, p_hold_id text, p_draw_id text, p_fingerprint uuid)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_hold billing.credit_holds := billing._find_hold(p_account_id, p_hold_id);
  v_mark uuid;
begin
  if p_draw_id is not null then
    select fingerprint into v_mark from billing.credit_hold_draws
     where account_id = p_account_id and hold_id = p_hold_id and draw_id = p_draw_id;
  elsif v_hold.state = 'settled' then
    v_mark := v_hold.settlement;
  end if;
  if v_mark = p_fingerprint then
    return billing._hold_json(p_account_id, p_hold_id) || '{"replayed": true, "topup_due": false, "refusal": null}';
  elsif v_mark is not null then
    raise exception using errcode = 'RF005', message = 'This was settled before with something else.';
  end if;
  if v_hold.state in ('settled', 'released') then
    raise exception using errcode = 'RF010', detail = jsonb_build_object('state', v_hold.state)::text,
      message = format('The hold is %s: record what it cost as usage.', v_hold.state);
  end if;
  return null;
end $$;
