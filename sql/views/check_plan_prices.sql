-- A plan on offer whose row disagrees with its price at Stripe is known to the operators. It is not sold meanwhile.
create or replace view billing.check_plan_prices with (security_invoker = true) as
select p.id as plan, billing._plan_mismatch(p) as reason, p.stripe_price_id, p.stripe_price, p.stripe_price_at
  from billing.subscription_plans p
 where p.active and billing._plan_mismatch(p) is not null and p.mismatch_noticed is null;
