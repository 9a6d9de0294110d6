-- Every automatic charge was asked for by a spend, and credits did not go down for another reason between that spend and the
-- charge: a refund, a dispute, an adjustment or an expiry never charges a card. What reconciliation restored after an older
-- backup has lost the name of its spend.
create or replace view billing.check_topup_has_cause with (security_invoker = true) as
select t.account_id, t.id as topup_id, t.cause, t.cause_entry, t.opened_entry
  from billing.topups t
 where t.cause is null
    or t.cause !~ '^(entry|hold|refused|restored):'
    or (t.cause like 'restored:%' and not exists (
          select from billing.audit_log a where a.action = 'payment.restored' and a.subject = t.payment_id))
    or (t.cause like 'entry:%' and not exists (
          select from billing.credit_transactions e
           where e.account_id = t.account_id and e.id = t.cause_entry and 'entry:' || e.id = t.cause and e.kind = 'usage'))
    or (t.cause like 'hold:%' and not exists (
          select from billing.credit_holds h where h.account_id = t.account_id and 'hold:' || h.id = t.cause))
    or exists (select from billing.credit_transactions e
                where e.account_id = t.account_id and e.id > t.cause_entry and e.id <= t.opened_entry
                  and e.amount < 0 and e.kind <> 'usage');
