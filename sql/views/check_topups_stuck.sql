-- No charge stays without an answer for an hour, or in processing at Stripe for a day.
create or replace view billing.check_topups_stuck with (security_invoker = true) as
select account_id, id as topup_id, state, created_at from billing.topups
 where (state in ('open', 'unknown') and created_at < now() - interval '1 hour')
    or (state = 'processing' and created_at < now() - interval '1 day');
