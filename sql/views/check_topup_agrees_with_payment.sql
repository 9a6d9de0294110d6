-- A top-up and its payment tell the same story, and a top-up is over exactly when its charge can take no more money.
create or replace view billing.check_topup_agrees_with_payment with (security_invoker = true) as
select t.account_id, t.id as topup_id, t.state, p.status
  from billing.topups t join billing.payments p on p.id = t.payment_id
 where p.account_id <> t.account_id
    or (t.state = 'succeeded') <> (p.status = 'succeeded')
    or (t.state = 'declined' and p.status not in ('failed', 'parked'))
    or (t.dead_at is null and p.status not in ('open', 'processing', 'parked'))
    or (t.dead_at is null) <> (t.state in ('open', 'processing', 'unknown', 'action_required', 'canceling'));
