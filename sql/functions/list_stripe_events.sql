-- The newest events, of one state if given. Callers: service.
create or replace function billing.list_stripe_events(p_state text, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._event_json(e) order by e.received_at desc, e.id), '[]')
  from (select * from billing.stripe_events where p_state is null or state = p_state
         order by received_at desc, id limit p_limit) e;
$$;
