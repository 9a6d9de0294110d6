-- What a limit counts as used and held is what the usage of its window and the open holds say; and the account knows that
-- it has limits.
create or replace view billing.check_limits_counted with (security_invoker = true) as
select b.account_id, l.subject, l.period, l.used, l.held, b.limited
  from billing.credit_balances b
  left join billing.credit_limits l using (account_id)
 where b.limited <> (l.subject is not null)
    or (l.window_start = date_trunc(l.period, now(), 'UTC')
        and l.used <> billing._limit_used(l.account_id, l.subject, l.window_start))
    or l.held <> (select coalesce(sum(h.remaining), 0) from billing.credit_holds h
                   where h.account_id = l.account_id and h.state = 'open' and l.subject = any (h.subjects));
