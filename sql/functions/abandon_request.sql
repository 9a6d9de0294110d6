-- Forgets an unfinished Idempotency-Key: nothing happened, so a repeat may try again. Callers: service.
create or replace function billing.abandon_request(p_caller text, p_key text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  delete from billing.idempotent_requests where caller = p_caller and key = p_key and status is null
  returning 'true'::jsonb;
$$;
