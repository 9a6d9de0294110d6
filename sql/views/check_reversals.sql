-- Credits taken back are what the payment counts, what the ledger says, and never more than the payment granted.
create or replace view billing.check_reversals with (security_invoker = true) as
select p.account_id, p.id as payment_id, p.credits, p.refunded_credits, p.disputed_credits, coalesce(t.taken, 0) as entries
  from billing.payments p
  left join (select account_id, source_id, -sum(amount) as taken from billing.credit_transactions
              where kind in ('refund', 'dispute') group by account_id, source_id) t
    on t.account_id = p.account_id and t.source_id = p.id
 where p.refunded_credits + p.disputed_credits <> coalesce(t.taken, 0)
    or p.refunded_credits < 0 or p.disputed_credits < 0 or p.refunded_credits + p.disputed_credits > p.credits;
