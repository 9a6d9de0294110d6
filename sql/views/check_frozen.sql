-- An account's status is what its causes say: paused while a dispute freezes it (_freezes: open, by the setting FREEZE_ON, not
-- lifted by an operator) or once grace is over, which the sweep has an hour to see, grace before, else active; and only grace
-- lets it spend below zero.
create or replace view billing.check_frozen with (security_invoker = true) as
select b.account_id, b.status, coalesce(r.disputes, 0) as disputes, b.grace_until, b.overdraft
  from billing.credit_balances b
  left join (select p.account_id, count(*) as disputes from billing.payment_reversals p where p.is_open and billing._freezes(p)
              group by 1) r
    using (account_id)
 where b.status <> case when r.disputes > 0 or b.grace_until <= now() - interval '1 hour' then 'paused'
                        when b.grace_until <= now() then case b.status when 'grace' then 'grace' else 'paused' end
                        when b.grace_until is not null then 'grace' else 'active' end::billing.account_status
    or (b.overdraft > 0 and (b.grace_until is null or b.status = 'paused' and b.grace_until <= now()));
