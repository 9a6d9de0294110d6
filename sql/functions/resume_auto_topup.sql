-- Lifts a pause of auto top-up, by a person's decision. Callers: service. Idempotent.
-- Raises RF001 unknown_account, RF010 state_conflict (auto top-up is off).
create or replace function billing.resume_auto_topup(p_account_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  if not exists (select from billing.auto_topup_settings where account_id = p_account_id and enabled) then
    raise exception using errcode = 'RF010', message = 'Auto top-up is off; switch it on instead.';
  end if;
  perform billing._resume_topups(p_account_id);
  insert into billing.audit_log (account_id, actor, action) values (p_account_id, p_actor, 'auto_topup.resumed');
  perform billing._arm_topup(p_account_id);
  return billing.get_auto_topup(p_account_id);
end $$;
