-- Stores the answer under its Idempotency-Key; the first one stands. p_lasts_seconds: how long it is of use; null: until it is
-- pruned. Callers: service.
create or replace function billing.finish_request(
  p_caller text, p_key text, p_status integer, p_body jsonb, p_lasts_seconds integer default null)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.idempotent_requests
     set status = p_status, body = p_body,
         answer_until = coalesce(now() + make_interval(secs => p_lasts_seconds), 'infinity')
   where caller = p_caller and key = p_key and status is null
  returning to_jsonb(status);
$$;
