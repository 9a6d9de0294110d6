-- What an account holds is what its open holds without a parent hold.
create or replace view billing.check_holds_equal_held with (security_invoker = true) as
select b.account_id, b.held, coalesce(h.remaining, 0) as holds
  from billing.credit_balances b
  left join (select account_id, sum(remaining) as remaining from billing.credit_holds
              where parent_id is null and state = 'open' group by account_id) h using (account_id)
 where b.held <> coalesce(h.remaining, 0);
