-- The rate cards that are in force now.
create or replace view billing.current_action_costs with (security_invoker = true) as
select action, nullif(model, '') as model, nullif(account_id, '') as account_id, credits, rates, unit, description,
       nullif(effective_from, '-infinity') as effective_from
  from billing.agent_action_costs
 where effective_from <= now() and effective_until > now();
