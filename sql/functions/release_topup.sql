-- Gives a claimed top-up back, to be taken up again after the delay; counts nothing. Callers: service.
-- What superseded it meanwhile (_resume_topups), and why it is given up, stands.
create or replace function billing.release_topup(p_topup_id text, p_reason text, p_delay_seconds integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.topups set next_attempt_at = case when reason = 'superseded' and state = 'action_required' then next_attempt_at else now() + make_interval(secs => p_delay_seconds) end,
         reason = case when state = 'canceling' or reason = 'superseded' then reason else p_reason end, claimed_by = null
   where id = p_topup_id and dead_at is null
  returning to_jsonb(next_attempt_at);
$$;
