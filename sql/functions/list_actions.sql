-- What one unit of each action costs now. Callers: service.
create or replace function billing.list_actions()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('action', action, 'credits', credits, 'description', description)
    order by action), '[]')
  from billing.current_action_costs;
$$;
