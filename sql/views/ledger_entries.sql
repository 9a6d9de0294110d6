-- Both legs of every ledger row: what the wallet gains the counter-account gives. Their sum is zero by construction.
create or replace view billing.ledger_entries with (security_invoker = true) as
select t.account_id, t.id as transaction_id, leg.ledger_account, leg.amount, t.kind, t.occurred_at, t.created_at
  from billing.credit_transactions t
 cross join lateral (values ('wallet', t.amount), (t.counter_account::text, -t.amount)) leg (ledger_account, amount);
