-- The subscription plans on offer. Callers: service.
create or replace function billing.list_plans()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', name, 'credits_per_cycle', credits_per_cycle,
    'amount', amount, 'currency', currency, 'interval', billing_interval,
    'credits_expire', credits_expire, 'rollover_cap', rollover_cap) order by sort_order, amount, id), '[]')
  from billing.subscription_plans where active;
$$;
