-- The rules of a currency, its minimum raised to the operator's own; all null for one that Stripe does not take. Internal.
create or replace function billing._currency_rules(p_code text)
  returns billing.currencies
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_rules billing.currencies;
begin
  select * into v_rules from billing.currencies where code = p_code;
  v_rules.minimum := greatest(v_rules.minimum, v_rules.own_minimum);
  return v_rules;
end $$;
