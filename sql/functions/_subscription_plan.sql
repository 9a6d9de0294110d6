-- The plan that a price or product of Stripe sells; the price decides where both name one. A plan without a product of its
-- own has the one that Refill makes for it. Internal. Null when it is none of ours.
create or replace function billing._subscription_plan(p_price text, p_product text)
  returns billing.subscription_plans
  language sql stable security definer set search_path = '' as $$
  select p from billing.subscription_plans p
   where p.stripe_price_id = p_price or billing._plan_product(p) = p_product
   order by (p.stripe_price_id = p_price) desc nulls last, p.id limit 1;
$$;
