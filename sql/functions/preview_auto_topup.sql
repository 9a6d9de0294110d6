-- What set_auto_topup with these settings would lead to at once: a charge with its lines, or nothing, and why. Promises
-- nothing: the balance may have moved by the time that they are saved. It answers the settings with their
-- defaults, too, and the smallest charge that they lead to.
-- p_settings: as there, and payment_method, the card that becomes the default just before, if it is another one.
-- Callers: service. Changes nothing. Raises RF001 unknown_account, RF007 unknown_package, RF012 invalid_auto_topup.
create or replace function billing.preview_auto_topup(p_account_id text, p_settings jsonb)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_account  jsonb := billing.get_account(p_account_id);
  v_stop     text := billing._charge_stop(p_account_id);
  v_before   billing.auto_topup_settings;
  v_after    billing.auto_topup_settings;
  v_balance  billing.credit_balances;
  v_customer billing.customers;
  v_offer    record;
  v_least    jsonb;
  v_outcome  text;
  v_until    timestamptz;
begin
  select * into v_before from billing.auto_topup_settings where account_id = p_account_id;
  select * into v_balance from billing.credit_balances where account_id = p_account_id;
  select * into v_customer from billing.customers where account_id = p_account_id;
  v_after := billing._checked_auto_topup(p_account_id, v_before, p_settings);
  v_least := billing._least_charge(v_after, billing._topup_package(v_after.package_id, v_after.currency));
  if not coalesce(v_before.enabled, false) then -- switching on resumes
    v_before := null;
  end if;
  if p_settings->>'payment_method' is distinct from v_customer.default_payment_method and p_settings->>'payment_method' is not null then
    v_customer.default_payment_method := p_settings->>'payment_method';
    if billing._is_card_pause(v_before.paused_reason) then -- another card re-arms
      v_before.paused_reason := null;
    end if;
    v_before.next_attempt_at := null;
  end if;
  select * into v_offer from billing._topup_offer(v_after, v_balance.balance - v_balance.held);
  -- The order of open_topup.
  v_outcome := case
    when exists (select from billing.topups t where t.account_id = p_account_id
                  and t.dead_at is null and (t.state <> 'action_required' or v_before.account_id is not null))
      then 'open_topup'
    when v_before.paused_reason not in ('package_unavailable', 'price_changed') then 'paused'
    when v_stop is not null then v_stop
    when v_customer.default_payment_method is null or v_customer.deleted_at is not null then 'no_payment_method'
    when v_balance.balance - v_balance.held > v_after.threshold then 'above_threshold'
    when v_balance.topup_cause is null and billing._last_spend(p_account_id, v_balance.topup_spent_after) is null
      then 'next_spend'
    when v_before.waiting_reason = 'declined' and v_before.next_attempt_at > now() then 'declined'
    else coalesce(v_offer.cap, 'charge') end;
  v_until := case v_outcome when 'declined' then v_before.next_attempt_at when v_offer.cap then v_offer.frees_at end;
  return jsonb_build_object('outcome', v_outcome, 'until', v_until,
    'charge', case when v_outcome = 'charge' then jsonb_build_object('credits', v_offer.credits, 'net_amount', v_offer.net_amount,
      'amount', v_offer.amount, 'currency', v_after.currency, 'lines', v_offer.lines) end,
    'least_charge', jsonb_build_object('net_amount', v_least#>'{0,amount}', 'amount', billing._lines_total(v_least),
      'currency', v_after.currency, 'lines', v_least),
    'threshold', v_after.threshold, 'mode', v_after.mode, 'credits', v_after.credits, 'package_id', v_after.package_id,
    'caps', jsonb_build_object('day', v_after.cap_day, 'month', v_after.cap_month, 'per_hour', v_after.cap_per_hour,
      'currency', v_after.currency));
end $$;
