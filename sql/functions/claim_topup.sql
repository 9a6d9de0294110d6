-- Takes a live top-up up and leases it; null when it is finished, leased, or not due. p_force: also before it is due, since
-- Stripe has something new (a webhook). p_claimant, the broker's message: one that comes again has lost its worker, whose
-- lease does not count then. Callers: service.
-- The lease saves work, it protects nothing: two workers at once do no harm (Stripe's idempotency keys, begin_topup_charge
-- and _topup_may_become decide).
create or replace function billing.claim_topup(
  p_topup_id text, p_lease_seconds integer default 100, p_claimant text default null, p_force boolean default false)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_topup billing.topups;
begin
  update billing.topups
     set claims = claims + 1, next_attempt_at = now() + make_interval(secs => p_lease_seconds), claimed_by = p_claimant
   where id = p_topup_id and dead_at is null and (next_attempt_at <= now() or p_force or claimed_by = p_claimant)
  returning * into v_topup;
  return case when found then billing._topup_json(v_topup) end;
end $$;
