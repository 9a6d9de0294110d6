-- Promise 4: a balance is the sum of the account's entries.
create or replace view billing.check_balance_equals_entries with (security_invoker = true) as
select b.account_id, b.balance, coalesce(t.total, 0) as entries
  from billing.credit_balances b
  left join (select account_id, sum(amount) as total from billing.credit_transactions group by account_id) t using (account_id)
 where b.balance <> coalesce(t.total, 0);
