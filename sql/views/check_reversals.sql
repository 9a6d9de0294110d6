-- Credits taken back are what the payment or invoice line counts, what the ledger says, and, with what had expired before,
-- never more than it granted.
create or replace view billing.check_reversals with (security_invoker = true) as
with granted as (
  select account_id, 'payment' as source_kind, id as source_id, credits, refunded_credits, disputed_credits, forgone_credits
    from billing.payments
  union all
  select account_id, 'invoice_line', id, credits, refunded_credits, disputed_credits, forgone_credits
    from billing.subscription_grants
), entries as (
  select account_id, source_kind, source_id, -sum(amount) as taken from billing.credit_transactions
   where kind in ('refund', 'dispute') group by account_id, source_kind, source_id
)
select coalesce(g.account_id, e.account_id) as account_id, coalesce(g.source_kind, e.source_kind) as source_kind,
       coalesce(g.source_id, e.source_id) as source_id, g.credits, g.refunded_credits, g.disputed_credits, g.forgone_credits,
       coalesce(e.taken, 0) as entries
  from granted g
  full join entries e
    on e.account_id = g.account_id and e.source_kind = g.source_kind and e.source_id = g.source_id
 where g.source_id is null or g.refunded_credits + g.disputed_credits <> coalesce(e.taken, 0)
    or least(g.refunded_credits, g.disputed_credits, g.forgone_credits) < 0
    or g.refunded_credits + g.disputed_credits + g.forgone_credits > g.credits;
