-- A line granted at most a whole period of its plan at its price and quantity, and no more was asked back of it than it
-- granted, so that nothing is granted twice for one price nor taken back twice for one credit.
create or replace view billing.check_grant_rates with (security_invoker = true) as
select account_id, id as line, invoice_id, plan_id, credits, withheld_credits, whole_credits, credited_credits, amount, withheld_amount
  from billing.subscription_grants
 where credits + withheld_credits > whole_credits or least(credits, withheld_credits, withheld_amount, credited_credits) < 0
    or credited_credits > credits + withheld_credits or withheld_amount > amount;
