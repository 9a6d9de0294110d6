-- An amount of money in a refusal, such as 4.00 HKD, 9.200 KWD or 500 JPY. Internal.
create or replace function billing._money_text(p_amount numeric, p_currency text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select round(p_amount * power(10::numeric, -c.decimals), c.decimals)::text || ' ' || upper(p_currency)
    from (select coalesce((billing._currency_rules(p_currency)).decimals, 2) as decimals) c;
$$;
