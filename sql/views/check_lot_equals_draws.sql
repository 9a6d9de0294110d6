-- Every lot's remainder is what its draws left of it.
create or replace view billing.check_lot_equals_draws with (security_invoker = true) as
select l.account_id, l.id as lot_id, l.remaining, coalesce(d.total, 0) as draws
  from billing.credit_lots l
  left join (select t.account_id, w.lot_id, sum(w.amount) as total
               from billing.credit_transactions t cross join lateral unnest(t.draws) w group by t.account_id, w.lot_id) d
    on d.account_id = l.account_id and d.lot_id = l.id
 where l.remaining <> coalesce(d.total, 0);
