-- Makes every notice since a time, of at most 30 days ago, due to an endpoint that it never reached: what failed, what came
-- while the endpoint was off, and what came before it was registered. Answers how many. Callers: service. Repeatable: what was
-- sent is not sent again. Raises RF008 invalid_value, RF009 not_found, RF010 state_conflict (the endpoint is off).
create or replace function billing.replay_webhooks(
  p_id text, p_account_id text, p_since timestamptz, p_topics text[], p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints := billing._require_endpoint(p_id, p_account_id);
  v_due      bigint;
begin
  if not v_endpoint.enabled then
    raise exception using errcode = 'RF010', message = 'This endpoint is switched off: enable it first.';
  end if;
  if p_since < now() - interval '30 days' then
    raise exception using errcode = 'RF008', message = 'Notices are replayed for 30 days.';
  end if;
  insert into billing.notice_deliveries as d (notice_id, channel, endpoint_id)
  select o.id, 'webhook', p_id from billing.outbox o
   where o.created_at >= p_since and o.state <> 'pending' and o.topic = any (p_topics) and billing._wants(v_endpoint, o)
   order by o.id
  on conflict (notice_id, channel, endpoint_id) do update set state = 'pending', reason = null, claims = 0, failures = 0, next_attempt_at = now()
    where d.state <> 'sent';
  get diagnostics v_due = row_count;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (v_endpoint.account_id, p_actor, 'webhook_endpoint.replayed', p_id, jsonb_build_object('since', p_since, 'due', v_due));
  return to_jsonb(v_due);
end $$;
