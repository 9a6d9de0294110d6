-- Promise 6: each usage entry is the sum of its usage rows, and each of those has its key; a settlement has its hold for
-- one. Months that were exported and dropped are left out: an entry is compared only from the oldest usage row on.
create or replace view billing.check_usage_equals_entries with (security_invoker = true) as
select t.account_id, t.id as transaction_id, -t.amount as entry, coalesce(u.credits, 0) as usage, coalesce(k.credits, 0) as keys
  from billing.credit_transactions t
  left join (select account_id, transaction_id, sum(credits) as credits from billing.credit_usage group by 1, 2) u
    on u.account_id = t.account_id and u.transaction_id = t.id
  left join (select account_id, transaction_id, sum(credits) as credits from billing.credit_usage_keys group by 1, 2) k
    on k.account_id = t.account_id and k.transaction_id = t.id
 where t.kind = 'usage' and t.created_at >= (select min(created_at) from billing.credit_usage)
   and (-t.amount <> coalesce(u.credits, 0) or (t.source_kind <> 'hold' and -t.amount <> coalesce(k.credits, 0)));
