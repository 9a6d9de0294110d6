-- Registers where notices go: of one account, or of all (p_account_id null); p_topics null: all topics. At most 20 each.
-- is_new: the endpoint has p_secret, which may be shown; a repeat by p_id with another secret is answered without it.
-- Callers: service, which has checked url and topics. Idempotent by p_id.
-- Raises RF001 unknown_account, RF005 idempotency_conflict, RF010 state_conflict (20 are there).
create or replace function billing.create_webhook_endpoint(
  p_id text, p_account_id text, p_url text, p_topics text[], p_secret text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints;
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
  select * into strict v_endpoint from billing.webhook_endpoints where id = p_id;
  if (v_endpoint.account_id, v_endpoint.url, v_endpoint.topics) is distinct from (p_account_id, p_url, p_topics) then
    raise exception using errcode = 'RF005', message = 'This id was used before for another endpoint.';
  end if;
  return billing._endpoint_json(v_endpoint) || jsonb_build_object('is_new', v_endpoint.secret = p_secret);
end $$;
