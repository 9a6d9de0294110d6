-- Stripe has refused no call for lack of a permission of STRIPE_SECRET_KEY within the last hour.
create or replace view billing.check_stripe_accepts_key with (security_invoker = true) as
select cause, account_id, details, times, last_at from billing.stripe_refusals
 where code = 'stripe_key_refused' and last_at > now() - interval '1 hour';
