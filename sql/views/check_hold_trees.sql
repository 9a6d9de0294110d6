-- A hold knows what its children hold and spent, no hold outlives its parent, and a closed one holds nothing.
create or replace view billing.check_hold_trees with (security_invoker = true) as
select h.account_id, h.id as hold_id, h.state, h.reserved, coalesce(c.remaining, 0) as children_hold,
       h.spent - h.settled as spent_below, coalesce(c.spent, 0) as children_spent
  from billing.credit_holds h
  left join (select account_id, parent_id, sum(remaining) as remaining, sum(spent) as spent,
                    max(expires_at) filter (where state = 'open') as expires_at
               from billing.credit_holds where parent_id is not null group by account_id, parent_id) c
    on c.account_id = h.account_id and c.parent_id = h.id
 where h.reserved <> coalesce(c.remaining, 0)
    or h.spent - h.settled <> coalesce(c.spent, 0)
    or (c.expires_at is not null and (h.state <> 'open' or c.expires_at > h.expires_at))
    or h.amount <= 0 or h.spent < 0 or h.reserved < 0 or h.settled < 0;
