-- Which lots each ledger row filled or drew; what its draws do not cover went to or came from debt.
create or replace view billing.credit_draws with (security_invoker = true) as
select t.account_id, t.id as transaction_id, d.lot_id, d.amount, t.kind, t.occurred_at, t.created_at
  from billing.credit_transactions t
 cross join lateral unnest(t.draws) d;
