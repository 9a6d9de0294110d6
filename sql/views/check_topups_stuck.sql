-- No charge stays without an answer for an hour, none is given up for longer, and no bank debit is in processing at Stripe
-- for three weeks (SEPA and ACH debits take up to two, docs.stripe.com/payments/bank-debits).
create or replace view billing.check_topups_stuck with (security_invoker = true) as
select account_id, id as topup_id, state, created_at from billing.topups
 where dead_at is null
   and ((state in ('open', 'unknown') and created_at < now() - interval '1 hour')
     or (state = 'canceling' and canceling_at < now() - interval '1 hour')
     or (state = 'processing' and created_at < now() - interval '21 days'));
