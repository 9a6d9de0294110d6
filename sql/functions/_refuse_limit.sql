-- Raises the refusal of a movement of p_needed (micro-credits, already counted in the row) by a hard limit.
-- Internal. Raises RF003 limit_reached.
create or replace function billing._refuse_limit(p_limit billing.credit_limits, p_needed bigint)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
begin
  raise exception using errcode = 'RF003',
    message = format('This would pass the limit of the %s %s for the %s. An administrator of the account can raise it.',
      p_limit.scope, p_limit.scope_id, p_limit.period),
    detail = jsonb_build_object('binding', p_limit.scope, 'needed', p_needed,
      'available', greatest(0, p_limit.credits - p_limit.used - p_limit.held + p_needed), 'topup', null,
      'scope_id', p_limit.scope_id, 'window', p_limit.period,
      'resets_at', billing._limit_json(p_limit)->'resets_at')::text;
end $$;
