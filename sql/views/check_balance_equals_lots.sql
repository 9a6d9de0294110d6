-- Promise 4: what is left in the lots is the balance, or nothing while there is debt.
create or replace view billing.check_balance_equals_lots with (security_invoker = true) as
select b.account_id, b.balance, coalesce(l.remaining, 0) as lots
  from billing.credit_balances b
  left join (select account_id, sum(remaining) as remaining from billing.credit_lots group by account_id) l using (account_id)
 where greatest(b.balance, 0) <> coalesce(l.remaining, 0);
