-- A lot as callers see it; an expiry that never comes is null. Internal.
create or replace function billing._lot_json(p_lot billing.credit_lots)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_lot.id, 'kind', p_lot.kind, 'source', p_lot.source, 'granted', p_lot.granted,
    'remaining', p_lot.remaining, 'paid_amount', p_lot.paid_amount, 'currency', p_lot.currency,
    'priority', p_lot.priority, 'expires_at', nullif(p_lot.expires_at, 'infinity'), 'created_at', p_lot.created_at);
$$;
