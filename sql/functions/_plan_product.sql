-- The id of a plan's product at Stripe: the catalogue's, else the one under which Refill makes it. Internal.
create or replace function billing._plan_product(p_plan billing.subscription_plans)
  returns text
  language sql immutable security definer set search_path = '' as $$
  select coalesce((p_plan).stripe_product_id, 'refill_plan_' || (p_plan).id);
$$;
