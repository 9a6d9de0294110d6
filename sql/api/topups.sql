-- Automatic charges with the money of their payments. Not what the bank said: a decline code is not for the card's holder.
create or replace view api.topups with (security_invoker = true) as
select t.id, t.account_id, t.payment_id, t.state, trim_scale(p.credits * 0.000001) as credits, p.amount, p.currency,
       t.created_at, t.finished_at
  from billing.topups t join billing.payments p on p.id = t.payment_id;
