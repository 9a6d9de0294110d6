-- Switches an endpoint on again that was switched off for its failures. Callers: service. Repeatable. Raises RF009 not_found.
create or replace function billing.enable_webhook_endpoint(p_id text, p_account_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints := billing._require_endpoint(p_id, p_account_id);
begin
  if not v_endpoint.enabled then
    update billing.webhook_endpoints set enabled = true, disabled_reason = null, failing_since = null where id = p_id
    returning * into v_endpoint;
    insert into billing.audit_log (account_id, actor, action, subject)
    values (v_endpoint.account_id, p_actor, 'webhook_endpoint.enabled', p_id);
  end if;
  return billing._endpoint_json(v_endpoint);
end $$;
