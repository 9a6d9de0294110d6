-- Promise 1 and 2: a succeeded payment has exactly the grant that its row says, and no other payment has one;
-- and what is charged is the price of the credits and the lines beside it, less what promotion codes took off.
create or replace view billing.check_payment_granted_once with (security_invoker = true) as
select p.account_id, p.id as payment_id, p.status, p.credits, l.granted
  from billing.payments p
  full join (select * from billing.credit_lots where source like 'payment:%') l
    on l.account_id = p.account_id and l.source = 'payment:' || p.id
 where (p.status = 'succeeded') is distinct from (l.id is not null)
    or (l.id is not null and (l.granted <> p.credits or l.paid_amount <> coalesce(p.net_amount, p.amount)))
    or (p.lines is not null and ((select sum((n->>'amount')::bigint) from jsonb_array_elements(p.lines) n) <> p.amount
                                 or round((p.lines#>>'{0,amount}')::numeric * p.amount / greatest(1, p.amount + p.discount))
                                    <> p.net_amount))
    or p.discount < 0 or (p.discount > 0 and not p.allow_promotion_codes);
