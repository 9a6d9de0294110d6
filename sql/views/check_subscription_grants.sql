-- Every lot of a subscription is the grant of one line of a paid invoice, as large and at the price that the grant says, and
-- every grant that was not withheld has its lot.
create or replace view billing.check_subscription_grants with (security_invoker = true) as
select coalesce(g.account_id, l.account_id) as account_id, coalesce('invoice_line:' || g.id, l.source) as source, g.invoice_id,
       i.status, g.credits, l.granted
  from billing.subscription_grants g
  full join (select * from billing.credit_lots where kind = 'subscription') l
    on l.account_id = g.account_id and l.source = 'invoice_line:' || g.id
  left join billing.invoices i on i.id = g.invoice_id and i.account_id = g.account_id
 where g.id is null or i.status is distinct from 'paid' or (l.id is null) <> (g.credits = 0)
    or l.granted <> g.credits or l.paid_amount <> g.amount - g.withheld_amount;
