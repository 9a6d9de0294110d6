-- Something else is away (Stripe, say): again in 5 seconds, doubling up to a minute; does not count towards parking.
-- Callers: service.
create or replace function billing.defer_stripe_event(p_id text, p_reason text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.stripe_events
     set claims = greatest(0, claims - 1), deferrals = deferrals + 1, reason = p_reason,
         next_attempt_at = now() + least(interval '5 seconds' * power(2, least(deferrals, 10)), interval '1 minute')
   where id = p_id and state = 'received'
  returning to_jsonb(next_attempt_at);
$$;
