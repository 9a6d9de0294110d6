-- The running balance of the ledger has no gap: each row stands on the one before it.
create or replace view billing.check_running_balance with (security_invoker = true) as
select account_id, id as transaction_id, balance_after, before + amount as expected
  from (select account_id, id, amount, balance_after,
               coalesce(lag(balance_after) over (partition by account_id order by id), 0) as before
          from billing.credit_transactions) t
 where balance_after <> before + amount;
