-- Which rule of its currency a row breaks that is about to be stored, as a sentence; null when Stripe can charge it. What is
-- off sale or switched off breaks none: a rule that Stripe changes must not keep a row from being switched off.
-- p_table: credit_packages, subscription_plans, fee_rules or auto_topup_settings. Internal, for require_chargeable and
-- check_currency_rules.
create or replace function billing._catalogue_fault(p_table text, p_row jsonb)
  returns text
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_code     text := p_row->>'currency';
  v_rules    billing.currencies := billing._currency_rules(v_code);
  v_settings billing.auto_topup_settings;
  v_package  billing.credit_packages;
  v_sold     text[];
  v_fault    text;
begin
  if not coalesce(p_row->>'active', p_row->>'enabled')::boolean
     or (p_table = 'subscription_plans' and (p_row->>'amount')::bigint = 0) then -- a free plan is never charged
    return null;
  end if;
  if p_table in ('credit_packages', 'subscription_plans') then
    v_fault := billing._amount_fault((p_row->>'amount')::numeric, v_code);
    return case when v_fault is not null then format('%s %s: %s.',
      case p_table when 'credit_packages' then 'Package' else 'Plan' end, p_row->>'id', v_fault) end;
  end if;
  if p_table = 'fee_rules' then
    select array_agg(distinct p.currency::text order by p.currency::text) into v_sold
      from billing.credit_packages p where p.active;
    return case
      when v_code is not null and v_rules.code is null
        then format('Fee rule %s: Stripe takes no charges in %s.', p_row->>'id', v_code)
      when (p_row->>'fixed')::bigint > 0 and v_code is null and cardinality(v_sold) > 1
        then format('Fee rule %s: a fixed amount needs a currency, since packages are sold in %s.', p_row->>'id',
          array_to_string(v_sold, ', '))
      when (p_row->>'fixed')::bigint % coalesce(v_rules.step, 1) <> 0
        then format('Fee rule %s: fixed amounts in %s are multiples of %s.', p_row->>'id', v_code,
          billing._money_text(v_rules.step, v_code))
      when (p_row->>'fixed')::bigint > coalesce(v_rules.maximum, 99999999)
        then format('Fee rule %s: fixed is more than Stripe takes at once.', p_row->>'id') end;
  end if;
  v_settings := jsonb_populate_record(null::billing.auto_topup_settings, p_row);
  v_package := billing._topup_package(v_settings.package_id, null);
  v_fault := case
    when v_rules.code is null then format('Stripe takes no charges in %s', v_code)
    when v_settings.package_id is not null and v_package.currency <> v_code
      then format('package %s is priced in %s, and the caps are in %s', v_package.id, v_package.currency, v_code)
    when least(v_settings.cap_day, v_settings.cap_month) < v_rules.minimum
      then format('caps of less than %s leave no room for any charge', billing._money_text(v_rules.minimum, v_code))
    else billing._amount_fault(billing._lines_total(billing._least_charge(v_settings,
      billing._topup_package(v_settings.package_id, v_code))), v_code) end;
  return 'Auto top-up: ' || v_fault || '.';
end $$;
