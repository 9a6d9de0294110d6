-- The subscription plans on offer. A plan whose row disagrees with its price at Stripe is not available: it cannot be
-- subscribed to. Callers: service.
create or replace function billing.list_plans()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'credits_per_cycle', p.credits_per_cycle,
    'amount', p.amount, 'currency', p.currency, 'interval', p.billing_interval, 'interval_count', p.interval_count,
    'grant_interval', p.grant_interval, 'available', billing._plan_mismatch(p) is null, 'stripe_price_id', p.stripe_price_id,
    'credits_expire', p.credits_expire, 'rollover_cap', p.rollover_cap) order by p.sort_order, p.amount, p.id), '[]')
  from billing.subscription_plans p where p.active;
$$;
