-- Gives an endpoint a new secret; the one before signs beside it for 24 hours. Callers: service. Idempotent by p_secret.
-- Raises RF009 not_found.
create or replace function billing.roll_webhook_secret(p_id text, p_account_id text, p_secret text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints := billing._require_endpoint(p_id, p_account_id);
begin
  if v_endpoint.secret <> p_secret then
    update billing.webhook_endpoints
       set secret = p_secret, previous_secret = secret, previous_until = now() + interval '24 hours'
     where id = p_id;
    insert into billing.audit_log (account_id, actor, action, subject)
    values (v_endpoint.account_id, p_actor, 'webhook_endpoint.secret_rolled', p_id);
  end if;
  return billing._endpoint_json(v_endpoint);
end $$;
