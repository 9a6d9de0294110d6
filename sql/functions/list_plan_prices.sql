-- The plans on offer that sell a price of Stripe, with what is compared: [{id, stripe_price_id}]. Callers: service.
create or replace function billing.list_plan_prices()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'stripe_price_id', stripe_price_id) order by id), '[]')
    from billing.subscription_plans where active and stripe_price_id is not null;
$$;
