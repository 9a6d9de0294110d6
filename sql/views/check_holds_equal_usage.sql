-- What was settled through a hold is the usage booked through it. Holds of months that were exported and dropped are left
-- out.
create or replace view billing.check_holds_equal_usage with (security_invoker = true) as
select h.account_id, h.id as hold_id, h.settled, coalesce(u.credits, 0) as usage
  from billing.credit_holds h
  left join (select account_id, hold_id, sum(credits) as credits from billing.credit_usage
              where hold_id is not null group by account_id, hold_id) u on u.account_id = h.account_id and u.hold_id = h.id
 where h.settled <> coalesce(u.credits, 0)
   and h.created_at >= (select min(created_at) from billing.credit_usage);
