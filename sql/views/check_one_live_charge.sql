-- Promise 3: no account has two charges that may both take money: sent for confirmation, and not declared dead by Stripe.
create or replace view billing.check_one_live_charge with (security_invoker = true) as
select account_id, count(*) as charges, array_agg(id order by created_at) as topup_ids
  from billing.topups
 where confirming_at is not null and dead_at is null
 group by account_id having count(*) > 1;
