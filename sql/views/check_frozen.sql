-- An account is paused while a dispute of one of its payments is open.
create or replace view billing.check_frozen with (security_invoker = true) as
select b.account_id, b.status, r.disputes
  from billing.credit_balances b
  join (select account_id, count(*) as disputes from billing.payment_reversals where is_open group by account_id) r
    using (account_id)
 where b.status <> 'paused';
