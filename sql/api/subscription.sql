-- The account's subscription to a plan, as get_subscription() answers: the one that goes on, else the newest.
create or replace view api.subscription with (security_invoker = true) as
select distinct on (s.account_id) s.account_id, s.id, s.status, s.plan_id as plan, p.name as plan_name, s.quantity,
       trim_scale(p.credits_per_cycle * s.quantity * 0.000001) as credits_per_cycle, p.amount, p.currency,
       p.billing_interval as "interval", s.current_period_start, s.current_period_end, s.cancel_at_period_end, s.cancel_at,
       s.ended_at, s.started_at
  from billing.subscriptions s join billing.subscription_plans p on p.id = s.plan_id
 order by s.account_id, s.status in ('canceled', 'incomplete_expired'), s.started_at desc, s.id;
