-- What is held and the overdraft are never negative.
create or replace view billing.check_balance_bounds with (security_invoker = true) as
select account_id, balance, held, overdraft from billing.credit_balances where held < 0 or overdraft < 0;
