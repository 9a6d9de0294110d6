-- What an account has, holds and may spend, as get_balance() answers: lots that expired but are not swept count as gone.
create or replace view api.balance with (security_invoker = true) as
select account_id, trim_scale(available * 0.000001) as available, trim_scale(held * 0.000001) as held,
       trim_scale(balance * 0.000001) as balance, trim_scale(greatest(0, -balance) * 0.000001) as debt, status
  from (select b.account_id, b.held, b.status::text as status, c.balance,
               greatest(0, c.balance - b.held + b.overdraft) as available
          from billing.credit_balances b
         cross join lateral (
           select b.balance - coalesce(sum(l.remaining), 0) as balance from billing.credit_lots l
            where l.account_id = b.account_id and l.is_open and l.expires_at <= now()) c) a;
