-- The price of each action that is in force now: the newest row that has begun.
create or replace view billing.current_action_costs with (security_invoker = true) as
select distinct on (action) action, credits, description, effective_from
  from billing.agent_action_costs
 where effective_from <= now()
 order by action, effective_from desc;
