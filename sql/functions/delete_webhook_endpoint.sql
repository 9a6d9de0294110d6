-- Deletes an endpoint with its secrets; what waits for it is skipped. Callers: service. Raises RF009 not_found.
create or replace function billing.delete_webhook_endpoint(p_id text, p_account_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints := billing._require_endpoint(p_id, p_account_id);
begin
  delete from billing.webhook_endpoints where id = p_id;
  insert into billing.audit_log (account_id, actor, action, subject)
  values (v_endpoint.account_id, p_actor, 'webhook_endpoint.deleted', p_id);
  return billing._endpoint_json(v_endpoint);
end $$;
