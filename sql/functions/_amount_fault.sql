-- What Stripe refuses about a charge of p_amount minor units, as a sentence for people; null when it takes it. Internal.
create or replace function billing._amount_fault(p_amount numeric, p_currency text)
  returns text
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_rules billing.currencies := billing._currency_rules(p_currency);
begin
  return case
    when v_rules.code is null then format('Stripe takes no charges in %s', p_currency)
    when p_amount < v_rules.minimum then format('%s is too little: Stripe charges %s or more',
      billing._money_text(p_amount, p_currency), billing._money_text(v_rules.minimum, p_currency))
    when p_amount > v_rules.maximum then format('%s is too much: Stripe takes at most %s at once',
      billing._money_text(p_amount, p_currency), billing._money_text(v_rules.maximum, p_currency))
    when p_amount % v_rules.step <> 0 then format('%s cannot be charged: amounts in %s are multiples of %s',
      billing._money_text(p_amount, p_currency), p_currency, billing._money_text(v_rules.step, p_currency)) end;
end $$;
