-- A Stripe event as operators see it: never its payload. Internal.
create or replace function billing._event_json(p_event billing.stripe_events)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(p_event) - 'payload' - 'next_attempt_at'
    || jsonb_build_object('next_attempt_at', case when p_event.state = 'received' then p_event.next_attempt_at end);
$$;
