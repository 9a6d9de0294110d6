-- In what a plan's row disagrees with its price at Stripe, as it was last read; null: in nothing, or the plan has no price of
-- its own, or it was not read yet. Internal.
create or replace function billing._plan_mismatch(p_plan billing.subscription_plans)
  returns text
  language sql immutable security definer set search_path = '' as $$
  select case
    when p_plan.stripe_price_id is null or p_plan.stripe_price->>'id' is distinct from p_plan.stripe_price_id then null
    when (p_plan.stripe_price->>'missing')::boolean then 'missing'
    when not (p_plan.stripe_price->>'same_mode')::boolean then 'mode'
    when not (p_plan.stripe_price->>'active')::boolean then 'inactive'
    when p_plan.stripe_price->>'type' is distinct from 'recurring' then 'type'
    when p_plan.stripe_price->>'usage_type' is distinct from 'licensed' then 'usage_type'
    when p_plan.stripe_product_id <> p_plan.stripe_price->>'product' then 'product'
    when p_plan.stripe_price->>'currency' is distinct from p_plan.currency then 'currency'
    when (p_plan.stripe_price->>'unit_amount')::numeric is distinct from p_plan.amount then 'amount'
    when p_plan.stripe_price->>'interval' is distinct from p_plan.billing_interval then 'interval'
    when (p_plan.stripe_price->>'interval_count')::integer is distinct from p_plan.interval_count then 'interval_count' end;
$$;
