-- Keeps a large adjustment until another operator decides; nothing is booked. p_by: who was authenticated; p_actor: the same
-- for people. Callers: service. Idempotent by p_id (other content: RF005 idempotency_conflict).
-- Raises RF001 unknown_account, RF008 invalid_value.
create or replace function billing.request_adjustment(
  p_id text, p_account_id text, p_credits bigint, p_reason text, p_by text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_adjustment billing.adjustments;
begin
  perform billing.get_account(p_account_id);
  if p_credits = 0 or abs(p_credits) > 1000000000000000 or length(coalesce(p_reason, '')) not between 1 and 500 then
    raise exception using errcode = 'RF008', message = 'An adjustment has an amount other than zero and a reason.';
  end if;
  insert into billing.adjustments (id, account_id, credits, reason, requested_by, requester)
  values (p_id, p_account_id, p_credits, p_reason, p_by, p_actor)
  on conflict (id) do nothing;
  if found then
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (p_account_id, p_actor, 'adjustment.requested', p_id, jsonb_build_object('credits', p_credits, 'reason', p_reason));
  end if;
  select * into strict v_adjustment from billing.adjustments where id = p_id;
  if (v_adjustment.account_id, v_adjustment.credits) is distinct from (p_account_id, p_credits) then
    raise exception using errcode = 'RF005', message = 'This adjustment id was used before for another adjustment.';
  end if;
  return billing._adjustment_json(v_adjustment);
end $$;
