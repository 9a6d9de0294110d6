-- Registers where notices go: of one account, or of all (p_account_id null); p_topics null: all topics. At most 20 each.
-- Callers: service, which has checked url and topics. Idempotent by p_id. Raises RF001 unknown_account, RF010 state_conflict.
create or replace function billing.create_webhook_endpoint(
  p_id text, p_account_id text, p_url text, p_topics text[], p_secret text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_account_id is not null then
    perform billing.get_account(p_account_id);
  end if;
  if (select count(*) from billing.webhook_endpoints where account_id is not distinct from p_account_id and id <> p_id) >= 20 then
    raise exception using errcode = 'RF010', message = 'There are 20 endpoints already: delete one first.';
  end if;
  insert into billing.webhook_endpoints (id, account_id, url, topics, secret)
  values (p_id, p_account_id, p_url, p_topics, p_secret)
  on conflict (id) do nothing;
  if found then
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (p_account_id, p_actor, 'webhook_endpoint.created', p_id, jsonb_build_object('topics', p_topics));
  end if;
  return (select billing._endpoint_json(e) from billing.webhook_endpoints e where e.id = p_id);
end $$;
