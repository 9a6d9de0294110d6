-- Lifts a pause of auto top-up, by a person's decision. While a dispute or an inquiry is open nothing is charged all the same
-- (_charge_stop). Callers: service. Idempotent.
-- Raises RF001 unknown_account, RF010 state_conflict (auto top-up is off), RF014 consent_required (credits cost more than was
-- agreed to).
create or replace function billing.resume_auto_topup(p_account_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_settings billing.auto_topup_settings;
  v_rise     jsonb;
begin
  perform billing._lock_account(p_account_id);
  select * into v_settings from billing.auto_topup_settings where account_id = p_account_id;
  if not coalesce(v_settings.enabled, false) then
    raise exception using errcode = 'RF010', message = 'Auto top-up is off; switch it on instead.';
  end if;
  v_rise := billing._price_rise(v_settings, null);
  if v_rise is not null then
    raise exception using errcode = 'RF014', detail = v_rise::text,
      message = 'Credits cost more than was agreed to: an owner reviews the new price and consents to it (PUT'
        ' /api/billing/auto-topup with consent).';
  end if;
  update billing.auto_topup_settings set paused_reason = null
   where account_id = p_account_id and paused_reason in ('price_changed', 'freeze_lifted');
  perform billing._resume_topups(p_account_id);
  insert into billing.audit_log (account_id, actor, action) values (p_account_id, p_actor, 'auto_topup.resumed');
  perform billing._arm_topup(p_account_id);
  return billing.get_auto_topup(p_account_id);
end $$;
