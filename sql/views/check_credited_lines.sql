-- What a credit proration asked back was returned, withheld, forgone or is still owed, never more than all of it; what was
-- returned is what the ledger took, from lots alone and never into debt.
create or replace view billing.check_credited_lines with (security_invoker = true) as
select coalesce(l.account_id, t.account_id) as account_id, coalesce(l.id, t.source_id) as line, l.invoice_id, l.due_credits, l.returned_credits, l.withheld_credits, l.forgone_credits,
       coalesce(t.taken, 0) as entries
  from (select * from billing.invoice_lines where amount < 0) l
  full join (select account_id, source_id, -sum(amount) as taken, bool_and(cardinality(draws) = 1) as of_lots
               from billing.credit_transactions where kind = 'plan_change' group by account_id, source_id) t
    on t.account_id = l.account_id and t.source_id = l.id
 where l.id is null or l.returned_credits <> coalesce(t.taken, 0) or not coalesce(t.of_lots, true)
    or least(l.returned_credits, l.withheld_credits, l.forgone_credits) < 0
    or l.returned_credits + l.withheld_credits + l.forgone_credits > l.due_credits;
