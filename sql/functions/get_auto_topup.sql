-- Settings and state of the account's auto top-up; switched off when it was never set. Callers: service.
-- Raises RF001 unknown_account.
create or replace function billing.get_auto_topup(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_settings billing.auto_topup_settings;
  v_spent    jsonb;
  v_open     jsonb;
  v_consent  billing.auto_topup_consents;
  v_lines    jsonb;
  v_account  jsonb := billing.get_account(p_account_id);
begin
  select * into v_settings from billing.auto_topup_settings where account_id = p_account_id;
  select to_jsonb(s) into v_spent from billing._topup_spent(p_account_id, v_settings.currency) s;
  select billing._topup_json(t) into v_open from billing.topups t
   where t.account_id = p_account_id and t.dead_at is null;
  if v_settings.enabled then
    v_consent := billing._consent_in_force(p_account_id);
  end if;
  v_lines := billing._least_charge(v_settings, billing._topup_package(v_settings.package_id, v_settings.currency));
  return jsonb_build_object(
    'charge', case when v_lines is not null then jsonb_build_object('net_amount', v_lines#>'{0,amount}',
      'amount', billing._lines_total(v_lines), 'currency', v_settings.currency, 'lines', v_lines) end,
    'currency', billing._account_currency(p_account_id),
    'account_id', p_account_id, 'enabled', coalesce(v_settings.enabled, false), 'threshold', v_settings.threshold,
    'mode', v_settings.mode, 'credits', v_settings.credits, 'package_id', v_settings.package_id,
    'caps', case when v_settings.account_id is not null then jsonb_build_object('day', v_settings.cap_day,
      'month', v_settings.cap_month, 'per_hour', v_settings.cap_per_hour, 'currency', v_settings.currency) end,
    'spent', v_spent,
    'consent', case when v_consent.id is not null then jsonb_build_object('actor', v_consent.actor, 'at', v_consent.created_at,
      'text_version', v_consent.text_version, 'price', billing._price_json(v_consent.price)) end,
    'price_change', case when v_settings.enabled then billing._price_rise(v_settings, null) end,
    'declines', coalesce(v_settings.declines, 0),
    'paused_reason', case when v_settings.paused_reason is null or v_settings.paused_reason = 'freeze_lifted'
      then coalesce(billing._charge_stop(p_account_id), v_settings.paused_reason) else v_settings.paused_reason end,
    'waiting_reason', coalesce(v_settings.waiting_reason, billing._next_spend(p_account_id)),
    'next_attempt_at', case when v_settings.next_attempt_at > now() then v_settings.next_attempt_at end,
    'open_topup', v_open,
    'topup_due', (select coalesce(topup_due_at <= now(), false) from billing.credit_balances where account_id = p_account_id));
end $$;
