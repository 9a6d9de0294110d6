-- Every entry moves something, and every usage row costs something.
create or replace view billing.check_entry_amounts with (security_invoker = true) as
select account_id, id as transaction_id, amount from billing.credit_transactions where amount = 0
union all
select account_id, transaction_id, credits from billing.credit_usage where credits <= 0;
