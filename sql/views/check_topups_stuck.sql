-- No charge stays without an answer for an hour; a card payment never does at Stripe.
create or replace view billing.check_topups_stuck with (security_invoker = true) as
select account_id, id as topup_id, state, created_at from billing.topups
 where state in ('open', 'processing', 'unknown') and created_at < now() - interval '1 hour';
