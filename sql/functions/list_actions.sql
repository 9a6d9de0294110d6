-- The rate cards that are in force now, everybody's and p_account_id's own; with p_upcoming also those that will be.
-- Callers: service.
create or replace function billing.list_actions(p_account_id text default null, p_upcoming boolean default false)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._card_json(c) order by c.action, c.model, c.account_id, c.effective_from), '[]')
    from billing.agent_action_costs c
   where c.effective_until > now() and (c.effective_from <= now() or p_upcoming) and c.account_id in ('', p_account_id);
$$;
