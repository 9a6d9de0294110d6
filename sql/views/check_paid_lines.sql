-- What was paid for a plan granted credits, or is parked and was announced to operators: each line of a paid invoice, once.
create or replace view billing.check_paid_lines with (security_invoker = true) as
select l.account_id, l.id as line, l.invoice_id, l.plan_id, l.amount, l.currency, l.outcome, l.reason
  from billing.invoice_lines l
  left join billing.subscription_grants g on g.id = l.id
 where case l.outcome when 'granted' then
              g.id is null and not exists (select from billing.subscription_portions p where p.line_id = l.id) or g.credits + g.withheld_credits <= 0
            when 'parked' then g.id is not null or not exists (select from billing.outbox o
              where o.dedupe_key = 'operations.paid_without_credits:' || l.id)
            else g.id is not null end;
