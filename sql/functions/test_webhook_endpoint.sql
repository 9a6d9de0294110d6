-- Makes a notice webhook.test for one endpoint alone and answers its delivery. Callers: service. Idempotent by p_test_id.
-- Raises RF009 not_found, RF010 state_conflict (the endpoint is off).
create or replace function billing.test_webhook_endpoint(p_id text, p_account_id text, p_test_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints := billing._require_endpoint(p_id, p_account_id);
  v_key      text := 'webhook.test:' || p_test_id;
begin
  if not v_endpoint.enabled then
    raise exception using errcode = 'RF010', message = 'This endpoint is switched off: enable it first.';
  end if;
  insert into billing.outbox (account_id, topic, dedupe_key, payload, state, sent_at)
  values (coalesce(v_endpoint.account_id, ''), 'webhook.test', v_key, jsonb_build_object('endpoint_id', p_id), 'sent', now())
  on conflict (dedupe_key) do nothing;
  insert into billing.notice_deliveries (notice_id, channel, endpoint_id)
  select id, 'webhook', p_id from billing.outbox where dedupe_key = v_key
  on conflict do nothing;
  return (select billing._delivery_json(d) from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id
           where o.dedupe_key = v_key);
end $$;
