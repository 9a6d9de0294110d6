-- The price of p_credits in minor units, at the unit price of a package, rounded up.
-- Internal. Immutable arithmetic; numeric, since credits times money leaves bigint.
create or replace function billing._topup_price(p_credits bigint, p_package_credits bigint, p_package_amount bigint)
  returns numeric
  language sql immutable security definer set search_path = '' as $$
  select ceil(p_credits::numeric * p_package_amount / p_package_credits);
$$;
