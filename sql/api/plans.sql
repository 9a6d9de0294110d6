-- The subscription plans on offer.
create or replace view api.plans with (security_invoker = true) as
select id, name, trim_scale(credits_per_cycle * 0.000001) as credits_per_cycle, amount, currency,
       billing_interval as "interval", credits_expire, trim_scale(rollover_cap * 0.000001) as rollover_cap, sort_order,
       interval_count
  from billing.subscription_plans where active;
