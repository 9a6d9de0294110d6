-- Ends an event: done, ignored, or parked with a reason. Callers: service. Idempotent: the first end stands.
create or replace function billing.finish_stripe_event(p_id text, p_state text, p_reason text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.stripe_events set state = p_state, reason = p_reason, finished_at = now()
   where id = p_id and state = 'received' and p_state in ('done', 'ignored', 'parked')
  returning to_jsonb(state);
$$;
