-- Reservations. remaining is what may still be spent or reserved from an open hold.
create or replace view api.holds with (security_invoker = true) as
select account_id, id, parent_id, state::text as state, trim_scale(amount * 0.000001) as amount,
       trim_scale(settled * 0.000001) as settled, trim_scale(spent * 0.000001) as spent,
       trim_scale(reserved * 0.000001) as reserved,
       case when state = 'open' then trim_scale(greatest(0, amount - spent - reserved) * 0.000001) else 0 end as remaining,
       action, agent, department_id, member_id, run_id, expires_at, created_at, closed_at
  from billing.credit_holds;
