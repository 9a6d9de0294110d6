-- A rate card as callers see it; times without end are null. Internal.
create or replace function billing._card_json(p_card billing.agent_action_costs)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('action', p_card.action, 'model', nullif(p_card.model, ''),
    'account_id', nullif(p_card.account_id, ''), 'credits', p_card.credits, 'rates', coalesce(p_card.rates, '{}'),
    'unit', p_card.unit, 'description', p_card.description,
    'effective_from', case when isfinite(p_card.effective_from) then p_card.effective_from end,
    'effective_until', case when isfinite(p_card.effective_until) then p_card.effective_until end);
$$;
