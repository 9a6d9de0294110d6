-- Ends a delivery: sent, skipped (nobody to tell), gone (the endpoint said 410, failed and off); pending was a failure: tried
-- again later, eight times by mail and Slack, ten times to an endpoint, then failed. Callers: service. Idempotent.
-- The waits of webhooks are those that the Standard Webhooks specification proposes; the others double (claim_notice). Failures count, not claims: a worker that died or a database that failed is no fault of the receiver.
-- A notice that is for an address of its own forgets it once its mail is sent or skipped.
create or replace function billing.finish_notice(p_id bigint, p_state text, p_reason text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_waits    constant interval[] := '{5s, 5min, 30min, 2h, 5h, 10h, 14h, 20h, 24h}';
  v_delivery billing.notice_deliveries;
begin
  update billing.notice_deliveries
     set state = case when p_state = 'gone' then 'failed'
                      when p_state = 'pending' and failures >= case channel when 'webhook' then cardinality(v_waits) else 7 end
                      then 'failed' else p_state end,
         next_attempt_at = case when p_state = 'pending' and channel = 'webhook' then coalesce(now() + v_waits[failures + 1], next_attempt_at)
                                else next_attempt_at end,
         failures = least(claims, failures + (p_state in ('pending', 'gone'))::integer),
         reason = p_reason, sent_at = case when p_state = 'sent' then now() end
   where id = p_id and state = 'pending'
  returning * into v_delivery;
  if v_delivery.endpoint_id is not null then
    perform billing._judge_endpoint(v_delivery.endpoint_id, p_state);
  end if;
  if v_delivery.channel = 'mail' and v_delivery.state in ('sent', 'skipped') then
    update billing.outbox set payload = payload - 'to'
     where id = v_delivery.notice_id and topic = 'account.email_changed' and payload ? 'to';
  end if;
  return to_jsonb(v_delivery.state);
end $$;
