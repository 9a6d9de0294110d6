-- A second operator approves a waiting adjustment, which books it, or rejects it. p_account_id: only of this account; null: of
-- any. Answers the adjustment, topup_due beside. Callers: service. Idempotent: the same decision again answers the same.
-- Raises RF009 not_found, RF010 state_conflict (the one who asked for it may not decide; decided otherwise already).
create or replace function billing.decide_adjustment(
  p_id text, p_account_id text, p_approve boolean, p_note text, p_by text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_wanted     text := case when p_approve then 'approved' else 'rejected' end;
  v_adjustment billing.adjustments;
  v_booked     jsonb := '{}';
begin
  select * into v_adjustment from billing.adjustments
   where id = p_id and account_id = coalesce(p_account_id, account_id);
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such adjustment.';
  end if;
  perform billing._lock_account(v_adjustment.account_id);
  select * into strict v_adjustment from billing.adjustments where id = p_id for update;
  if v_adjustment.requested_by = p_by then
    raise exception using errcode = 'RF010', message = 'Another operator than the one who asked for it decides.';
  elsif v_adjustment.state not in ('waiting', v_wanted) then
    raise exception using errcode = 'RF010', message = format('This adjustment was %s already.', v_adjustment.state);
  end if;
  if p_approve then
    v_booked := billing.adjust_credits(p_id, v_adjustment.account_id, v_adjustment.credits, v_adjustment.reason,
      v_adjustment.requester);
  end if;
  if v_adjustment.state = 'waiting' then
    update billing.adjustments set state = v_wanted, decided_by = p_by, decider = p_actor, note = p_note, decided_at = now()
     where id = p_id returning * into v_adjustment;
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (v_adjustment.account_id, p_actor, 'adjustment.' || v_wanted, p_id,
      jsonb_strip_nulls(jsonb_build_object('credits', v_adjustment.credits, 'note', p_note)));
  end if;
  return billing._adjustment_json(v_adjustment) || jsonb_build_object('topup_due', coalesce(v_booked->'topup_due', 'false'));
end $$;
