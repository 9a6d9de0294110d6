-- An endpoint as the API shows it: everything but its secrets. Internal.
create or replace function billing._endpoint_json(p_endpoint billing.webhook_endpoints)
  returns jsonb
  language sql immutable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_endpoint.id, 'account_id', p_endpoint.account_id, 'url', p_endpoint.url,
    'topics', p_endpoint.topics, 'enabled', p_endpoint.enabled, 'disabled_reason', p_endpoint.disabled_reason,
    'failing_since', p_endpoint.failing_since, 'created_at', p_endpoint.created_at);
$$;
