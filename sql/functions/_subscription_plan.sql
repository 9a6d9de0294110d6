-- The plan that a price or product of Stripe sells. The price decides where both name one; a product that several plans share
-- sells the plan of the same cycle, then of the same amount, else the one that grants least. A plan without a product of its
-- own has the one that Refill makes for it. Internal. Null when it is none of ours.
create or replace function billing._subscription_plan(
  p_price text, p_product text, p_interval text, p_count integer, p_amount numeric)
  returns billing.subscription_plans
  language sql stable security definer set search_path = '' as $$
  select p from billing.subscription_plans p
   where p.stripe_price_id = p_price or billing._plan_product(p) = p_product
   order by (p.stripe_price_id = p_price) desc nulls last,
            ((p.billing_interval, p.interval_count) = (p_interval, coalesce(p_count, 1))) desc nulls last,
            (p.amount = p_amount) desc nulls last, p.credits_per_cycle, p.id limit 1;
$$;
