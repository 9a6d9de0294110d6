-- An adjustment that needed a second operator, as operators see it. Internal.
create or replace function billing._adjustment_json(p_adjustment billing.adjustments)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_adjustment.id, 'account_id', p_adjustment.account_id, 'credits', p_adjustment.credits,
    'reason', p_adjustment.reason, 'state', p_adjustment.state, 'requested_by', p_adjustment.requested_by,
    'requester', p_adjustment.requester, 'created_at', p_adjustment.created_at, 'decider', p_adjustment.decider,
    'note', p_adjustment.note, 'decided_at', p_adjustment.decided_at);
$$;
