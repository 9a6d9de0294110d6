-- Stores the answer under its Idempotency-Key; the first one stands. Callers: service.
create or replace function billing.finish_request(p_caller text, p_key text, p_status integer, p_body jsonb)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.idempotent_requests set status = p_status, body = p_body
   where caller = p_caller and key = p_key and status is null
  returning to_jsonb(status);
$$;
