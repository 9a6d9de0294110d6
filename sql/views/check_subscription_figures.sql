-- A subscription that goes on and sells a plan is mirrored with what it costs at Stripe; a row without it is read again by the
-- hourly reconciliation.
create or replace view billing.check_subscription_figures with (security_invoker = true) as
select account_id, id as subscription_id, plan_id, status, price_id, currency, billing_interval
  from billing.subscriptions
 where plan_id is not null and status not in ('canceled', 'incomplete_expired')
   and updated_at < now() - interval '2 hours' and (items is null or price_id is null and unit_amount is not null);
