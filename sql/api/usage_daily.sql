-- Usage by action and day (UTC) of today and the 30 days before. Bounded, so that only the newest partitions are read: an
-- event is booked when it happened or later.
create or replace view api.usage_daily with (security_invoker = true) as
select account_id, (occurred_at at time zone 'UTC')::date as day, action, count(*) as events,
       sum(quantity) as quantity, trim_scale(sum(credits) * 0.000001) as credits
  from billing.credit_usage
 where created_at >= date_trunc('day', now(), 'UTC') - interval '720 hours'
   and occurred_at >= date_trunc('day', now(), 'UTC') - interval '720 hours'
 group by account_id, day, action;
