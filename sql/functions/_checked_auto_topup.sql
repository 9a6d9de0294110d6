-- The settings row that p_settings asks for, over the one before, or a refusal that says which rule it breaks.
-- Internal. Changes nothing. Raises RF007 unknown_package, RF012 invalid_auto_topup.
create or replace function billing._checked_auto_topup(
  p_account_id text, p_before billing.auto_topup_settings, p_settings jsonb)
  returns billing.auto_topup_settings
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_after   billing.auto_topup_settings := p_before;
  v_package billing.credit_packages;
  v_rules   billing.currencies;
  v_least   numeric;
  v_fault   text[]; -- setting, rule, sentence
begin
  v_after.account_id := p_account_id;
  v_after.enabled := true;
  v_after.threshold := coalesce((p_settings->>'threshold')::bigint, p_before.threshold);
  v_after.mode := coalesce(p_settings->>'mode', p_before.mode, 'fixed');
  v_after.package_id := case when p_settings ? 'package_id' or p_settings ? 'credits' then p_settings->>'package_id'
                             else p_before.package_id end;
  if v_after.package_id is not null then
    v_package := billing._topup_package(v_after.package_id, null);
    if v_package.id is null then
      raise exception using errcode = 'RF007', message = 'There is no such package. GET /api/billing/packages lists them.';
    end if;
  end if;
  v_after.currency := billing._topup_currency(p_account_id, p_before, p_settings, v_package);
  v_rules := billing._currency_rules(v_after.currency);
  v_package := billing._topup_package(v_after.package_id, v_after.currency);
  v_after.credits := coalesce((p_settings->>'credits')::bigint,
    case when v_after.package_id is not null then v_package.credits end, p_before.credits);
  v_after.cap_day := coalesce((p_settings#>>'{caps,day}')::bigint, p_before.cap_day, v_rules.day_cap);
  v_after.cap_month := coalesce((p_settings#>>'{caps,month}')::bigint, p_before.cap_month,
    greatest(v_rules.month_cap, v_after.cap_day));
  v_after.cap_per_hour := coalesce((p_settings#>>'{caps,per_hour}')::integer, p_before.cap_per_hour, 3);
  v_after.declines := coalesce(p_before.declines, 0);
  v_after.is_dunned := coalesce(p_before.is_dunned, false);
  v_after.updated_at := now();

  -- The smallest charge that these settings can lead to: one fixed amount, or from the threshold up to the target.
  v_least := billing._lines_total(billing._least_charge(v_after, v_package));
  v_fault := case
    when v_after.threshold is null
      then array['threshold', 'missing', 'threshold is missing: the available credits at which to top up']
    when v_after.credits is null
      then array['amount', 'missing', 'amount (or target) is missing: how many credits one top-up adds, or fills up to']
    when v_after.mode not in ('fixed', 'target') then array['mode', 'mode', 'mode is fixed or target']
    when v_after.mode = 'target' and v_after.credits <= v_after.threshold
      then array['amount', 'target_too_low', 'target must be above threshold, or every charge would be followed by another']
    when v_least < v_rules.minimum
      then array['amount', 'charge_too_small', format('one charge would be %s minor units of %s; Stripe charges %s or more',
        v_least, v_after.currency, v_rules.minimum)]
    when v_least > v_rules.maximum
      then array['amount', 'charge_too_large', format('one charge would be more than Stripe takes at once (%s minor units of %s)',
        v_rules.maximum, v_after.currency)]
    when v_after.cap_day < v_least or v_after.cap_month < v_least
      then array[case when v_after.cap_day < v_least then 'caps.day' else 'caps.month' end, 'no_room',
        format('caps.day and caps.month must leave room for one charge of %s minor units', v_least)]
    when v_after.cap_month < v_after.cap_day
      then array['caps.month', 'month_below_day', 'caps.month must not be below caps.day']
    when v_after.cap_per_hour not between 1 and 10
      then array['caps.per_hour', 'per_hour', 'caps.per_hour is between 1 and 10'] end;
  if v_fault is not null then
    perform billing._refuse_topup(v_fault, v_least, v_after.currency);
  end if;
  return v_after;
end $$;
