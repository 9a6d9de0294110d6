-- After a settlement that leaves its hold open: extends the hold, and reserves what it asks for. Answers the refusal
-- (sqlstate, message, detail) when there is no more to reserve, or null. Internal: the caller holds the account's lock.
create or replace function billing._keep_hold(p_hold billing.credit_holds, p_settlement jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_more    bigint := (p_settlement->>'reserve')::bigint;
  v_seconds integer := (p_settlement->>'expires_in')::integer;
  v_expires timestamptz := p_hold.expires_at;
  v_message text;
  v_detail  text;
begin
  if p_hold.state = 'open' and v_seconds is not null then
    perform billing._push_expiry(p_hold.account_id, p_hold.id, now() + make_interval(secs => v_seconds));
    select expires_at into v_expires from billing.credit_holds where account_id = p_hold.account_id and id = p_hold.id;
  end if;
  -- One whose time is up may be expired to find the very credits that it asks for.
  if v_more is not null and (p_hold.state <> 'open' or v_expires <= now()) then
    return jsonb_build_object('sqlstate', 'RF010', 'message', 'The hold is over: nothing more can be reserved for it.',
      'detail', jsonb_build_object('state', p_hold.state));
  end if;
  if v_more > 0 then
    begin
      perform billing._reserve(p_hold.account_id, p_hold.id, p_hold.parent_id, v_more, p_hold.subjects);
      -- From what it holds, which is more than amount - spent when it was passed.
      update billing.credit_holds h set amount = h.spent + h.remaining + v_more
       where h.account_id = p_hold.account_id and h.id = p_hold.id;
    exception when sqlstate 'RF002' or sqlstate 'RF003' or sqlstate 'RF004' or sqlstate 'RF010' then
      get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail;
      return jsonb_build_object('sqlstate', sqlstate, 'message', v_message, 'detail', nullif(v_detail, '')::jsonb);
    end;
  end if;
  return null;
end $$;
