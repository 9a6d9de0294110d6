-- One event with its payload in hex (null once it is pruned), for operators; null when there is none. Callers: service.
create or replace function billing.get_stripe_event(p_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._event_json(e) || jsonb_build_object('payload', encode(e.payload, 'hex'))
    from billing.stripe_events e where e.id = p_id;
$$;
