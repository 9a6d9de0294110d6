-- Gives a claimed top-up back, to be taken up again after the delay; counts nothing. Callers: service.
create or replace function billing.release_topup(p_topup_id text, p_reason text, p_delay_seconds integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.topups set reason = p_reason, next_attempt_at = now() + make_interval(secs => p_delay_seconds)
   where id = p_topup_id and state in ('open', 'processing', 'unknown', 'action_required')
  returning to_jsonb(next_attempt_at);
$$;
