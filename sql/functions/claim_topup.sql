-- Takes a top-up up, for ten seconds; null when it is finished or not due. Callers: service.
-- Two workers at once would do no harm (Stripe's idempotency keys and begin_topup_charge decide), only work twice.
create or replace function billing.claim_topup(p_topup_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_topup billing.topups;
begin
  update billing.topups set claims = claims + 1, next_attempt_at = now() + interval '10 seconds'
   where id = p_topup_id and state in ('open', 'processing', 'unknown', 'action_required') and next_attempt_at <= now()
  returning * into v_topup;
  return case when found then billing._topup_json(v_topup) end;
end $$;
