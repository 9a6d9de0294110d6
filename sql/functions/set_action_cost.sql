-- A new price for an action, from now on; old prices stay for the books. Callers: service.
-- Raises RF008 invalid_value (by the table's checks).
create or replace function billing.set_action_cost(p_action text, p_credits bigint, p_description text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  insert into billing.agent_action_costs (action, credits, description, effective_from)
  values (p_action, p_credits, p_description, clock_timestamp());
  insert into billing.audit_log (actor, action, subject, details)
  values (p_actor, 'action_cost.set', p_action, jsonb_build_object('credits', p_credits));
  return jsonb_build_object('action', p_action, 'credits', p_credits, 'description', p_description);
end $$;
