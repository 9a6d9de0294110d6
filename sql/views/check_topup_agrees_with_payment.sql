-- A top-up and its payment tell the same story.
create or replace view billing.check_topup_agrees_with_payment with (security_invoker = true) as
select t.account_id, t.id as topup_id, t.state, p.status
  from billing.topups t join billing.payments p on p.id = t.payment_id
 where p.account_id <> t.account_id
    or (t.state = 'succeeded') <> (p.status = 'succeeded')
    or (t.state = 'declined' and p.status <> 'failed');
