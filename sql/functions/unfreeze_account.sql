-- An operator's decision that an account may spend although a dispute, an inquiry or the end of its grace freezes it. It covers
-- what freezes now: the ids in p_covers (as list_freezes has them), null for all; another dispute, or an inquiry that becomes
-- a dispute, freezes again. Automatic charges stay paused until a person resumes them.
-- Callers: service. Raises RF001 unknown_account, RF008 invalid_value (no reason), RF027 not_frozen.
create or replace function billing.unfreeze_account(p_account_id text, p_covers text[], p_reason text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_lifted  text[];
begin
  if length(trim(coalesce(p_reason, ''))) not between 1 and 500 then
    raise exception using errcode = 'RF008', message = 'Lifting a freeze needs a reason of 1 to 500 characters.';
  end if;
  with lifted as (
    update billing.payment_reversals r
       set lifted_stage = case when billing._is_inquiry(r.status) then 'inquiry' else 'dispute' end,
           lifted_at = now(), lifted_by = p_actor, lift_reason = trim(p_reason)
     where r.account_id = p_account_id and r.is_open and billing._freezes(r) and (p_covers is null or r.id = any (p_covers))
    returning r.id)
  select array_agg(id order by id) into v_lifted from lifted;
  if v_lifted is not null then
    update billing.auto_topup_settings set paused_reason = 'freeze_lifted'
     where account_id = p_account_id and enabled and paused_reason is null;
  end if;
  if v_balance.grace_until <= now() and (p_covers is null or 'grace' = any (p_covers)) then
    -- The stop that grace was for has had it (is_dunned): only another one gives grace, and ends it, again.
    update billing.credit_balances set grace_until = null where account_id = p_account_id;
    v_lifted := v_lifted || 'grace'::text;
  end if;
  if v_lifted is null then
    raise exception using errcode = 'RF027', message = case when p_covers is null
      then 'Nothing freezes this account.' else 'None of these freezes this account now.' end;
  end if;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (p_account_id, p_actor, 'account.unfrozen', p_account_id, jsonb_build_object('reason', trim(p_reason), 'covers', v_lifted));
  perform billing._derive_status(p_account_id);
  return billing.get_account(p_account_id)
    || jsonb_build_object('lifted', v_lifted, 'freezes', billing.list_freezes(p_account_id));
end $$;
