-- Something else is away (Stripe, the database): the run goes on in half a minute, and the claim does not count towards giving
-- it up. Callers: service.
create or replace function billing.defer_reconciliation(p_id text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.reconciliations
     set claims = greatest(0, claims - 1), lease_until = now() + interval '30 seconds'
   where id = p_id and state = 'running'
  returning to_jsonb(claims);
$$;
