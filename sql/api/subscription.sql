-- The account's subscription to a plan, as get_subscription() answers: the one that goes on, else the newest. What it costs
-- and what is charged next are Stripe's figures.
create or replace view api.subscription with (security_invoker = true) as
select distinct on (s.account_id) s.account_id, s.id, s.status, s.plan_id as plan, p.name as plan_name, s.quantity,
       trim_scale(floor(p.credits_per_cycle * s.quantity * s.cycle_share) * 0.000001) as credits_per_cycle,
       case when s.items is null then p.amount else s.unit_amount end as amount,
       case when s.items is null then p.currency else s.currency end as currency,
       case when s.items is null then p.billing_interval else s.billing_interval end as "interval",
       s.current_period_start, s.current_period_end, s.cancel_at_period_end, s.cancel_at, s.ended_at, s.started_at,
       case when s.items is null then p.interval_count else s.interval_count end as interval_count, s.price_id, s.items,
       s.paused, s.trial_end, s.discount_amount,
       case when s.items is null and s.ended_at is null then s.current_period_end else s.next_at end as next_at,
       case when s.items is null and s.ended_at is null then p.amount * s.quantity
            when s.is_previewed then s.next_amount
            when s.next_amount is not null then greatest(0, s.next_amount + least(0, coalesce(b.ending_balance, 0))) end as next_amount
  from billing.subscriptions s
  join billing.subscription_plans p on p.id = s.plan_id
  left join lateral (select i.ending_balance from billing.invoices i
                      where i.account_id = s.account_id and i.currency = s.currency and i.ending_balance is not null
                      order by i.occurred_at desc, i.id desc limit 1) b on true
 order by s.account_id, s.status in ('canceled', 'incomplete_expired'), s.started_at desc, s.id;
