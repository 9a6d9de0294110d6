-- Promise 3: the automatic charges of a UTC day, less what was refunded of them, stay within the highest daily cap that the account has consented to, currency by
-- currency: caps in one allow nothing in another.
create or replace view billing.check_topup_within_caps with (security_invoker = true) as
select d.account_id, d.day, d.amount, c.cap_day, d.currency
  from (select t.account_id, date_trunc('day', t.created_at, 'UTC') as day, p.currency::text, sum(p.amount - least(p.amount, coalesce(r.amount, 0))) as amount
          from billing.topups t join billing.payments p on p.id = t.payment_id
          -- Also refunds that failed later: the charge after them was allowed by what was known then.
          left join (select payment_id, sum(amount) as amount from billing.payment_reversals where kind = 'refund'
                      group by payment_id) r on r.payment_id = p.id
         where t.dead_at is null or t.state = 'succeeded' or p.status = 'parked' group by 1, 2, 3) d
  left join (select account_id, settings->>'currency' as currency, max((settings->>'cap_day')::bigint) as cap_day
          from billing.auto_topup_consents where enabled group by 1, 2) c using (account_id, currency)
 where d.amount > coalesce(c.cap_day, 0);
