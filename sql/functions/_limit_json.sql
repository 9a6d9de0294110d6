-- A limit as callers see it, with what is used of it now. Internal.
create or replace function billing._limit_json(p_limit billing.credit_limits)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('account_id', p_limit.account_id, 'scope', p_limit.scope, 'scope_id', p_limit.scope_id,
    'window', p_limit.period, 'credits', p_limit.credits, 'hard', p_limit.hard, 'used', u.used, 'held', p_limit.held,
    'left', greatest(0, p_limit.credits - u.used - p_limit.held), 'window_started_at', w.start,
    -- Days and months of UTC, whatever the session's time zone is.
    'resets_at', (w.start at time zone 'UTC' + ('1 ' || p_limit.period)::interval) at time zone 'UTC')
  from (select date_trunc(p_limit.period, now(), 'UTC') as start) w
 cross join lateral (select case when p_limit.window_start >= w.start then p_limit.used else 0 end as used) u;
$$;
