-- The price of p_credits in minor units, at the unit price of a package, rounded up to what the currency can charge.
-- Internal. Immutable arithmetic; numeric, since credits times money leaves bigint. p_step: of the currency.
create or replace function billing._topup_price(
  p_credits bigint, p_package_credits bigint, p_package_amount bigint, p_step bigint)
  returns numeric
  language sql immutable security definer set search_path = '' as $$
  select ceil(p_credits::numeric * p_package_amount / p_package_credits / p_step) * p_step;
$$;
