-- Switches auto top-up on, changes it, or switches it off, and keeps who allowed what, when, under which text.
-- Off always works. On and changes need the version of the text that was accepted, and agree to the price of now: it ends a
-- pause as price_changed. Settings left out keep their value.
-- Callers: service. Idempotent. p_settings: enabled, threshold, mode, credits, package_id, caps, text_version; charge {amount,
-- currency}, the smallest charge that was shown, if it is to be compared.
-- Raises RF001 unknown_account, RF007 unknown_package, RF012 invalid_auto_topup, RF014 consent_required.
create or replace function billing.set_auto_topup(p_account_id text, p_settings jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_before billing.auto_topup_settings;
  v_after  billing.auto_topup_settings;
begin
  if p_settings->>'enabled' is null then
    raise exception using errcode = 'RF012', message = 'Auto top-up settings: enabled is missing: true or false.';
  end if;
  perform billing._lock_account(p_account_id);
  select * into v_before from billing.auto_topup_settings where account_id = p_account_id;

  if (p_settings->>'enabled')::boolean then
    if length(coalesce(p_settings->>'text_version', '')) not between 1 and 100 then
      raise exception using errcode = 'RF014',
        message = 'Automatic charges need consent: send consent.text_version, the version of the text that was accepted.';
    end if;
    v_after := billing._checked_auto_topup(p_account_id, v_before, p_settings);
    perform billing._require_price_shown(v_after, p_settings->'charge');
    insert into billing.auto_topup_settings as s select v_after.*
    on conflict (account_id) do update
      set enabled = true, threshold = excluded.threshold, mode = excluded.mode, credits = excluded.credits,
          package_id = excluded.package_id, currency = excluded.currency, cap_day = excluded.cap_day,
          cap_month = excluded.cap_month, cap_per_hour = excluded.cap_per_hour, updated_at = now(),
          -- What the old caps or the old package stood in the way of may go on; the wait after a decline stays.
          next_attempt_at = case when s.waiting_reason = 'declined' then s.next_attempt_at end,
          waiting_reason = case when s.waiting_reason = 'declined' then s.waiting_reason end,
          -- What is agreed to now is the price of now.
          paused_reason = case when s.paused_reason not in ('package_unavailable', 'price_changed') then s.paused_reason end;
    if not coalesce(v_before.enabled, false) then
      perform billing._resume_topups(p_account_id);
    end if;
  else
    update billing.auto_topup_settings set enabled = false, updated_at = now() where account_id = p_account_id;
    perform billing._end_grace(p_account_id);
  end if;

  insert into billing.auto_topup_consents (account_id, actor, enabled, text_version, settings, price)
  values (p_account_id, p_actor, (p_settings->>'enabled')::boolean, p_settings->>'text_version',
    coalesce((select to_jsonb(s) from billing.auto_topup_settings s where s.account_id = p_account_id), p_settings),
    case when (p_settings->>'enabled')::boolean then billing._agreed_price(v_after) end);
  insert into billing.audit_log (account_id, actor, action, details)
  values (p_account_id, p_actor, 'auto_topup.' || case when (p_settings->>'enabled')::boolean then 'set' else 'off' end, p_settings);
  perform billing._arm_topup(p_account_id);
  return billing.get_auto_topup(p_account_id);
end $$;
