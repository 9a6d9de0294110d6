-- Makes the deliveries of up to p_limit new notices: mail unless the account switched the topic off, Slack for the topics
-- p_slack, webhooks for the topics p_webhook to every endpoint that wants them. Answers how many notices it planned.
-- Callers: service. Each notice is planned once, whoever calls at the same time. Apart from _notify, so that a debit that
-- crosses a level writes one row, however many receivers there are.
create or replace function billing.plan_notices(p_limit integer, p_slack text[], p_webhook text[])
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_planned bigint[];
begin
  with due as (
    select id from billing.outbox
     where state = 'pending' and next_attempt_at <= now()
     order by next_attempt_at limit p_limit for update skip locked
  ), planned as (
    update billing.outbox o set state = 'sent', sent_at = now() from due d where o.id = d.id returning o.id
  )
  select array_agg(id) into v_planned from planned;
  insert into billing.notice_deliveries (notice_id, channel, endpoint_id)
  select o.id, r.channel, r.endpoint_id
    from billing.outbox o cross join lateral (
      select 'mail' as channel, null as endpoint_id
       where not exists (select from billing.notice_preferences p
                          where p.account_id = o.account_id and p.topic = o.topic and p.channel = 'mail' and not p.enabled)
      union all
      select 'slack', null where o.topic = any (p_slack)
      union all
      select 'webhook', e.id from billing.webhook_endpoints e
       where o.topic = any (p_webhook) and e.enabled and billing._wants(e, o)
    ) r
   where o.id = any (v_planned)
  on conflict do nothing;
  return to_jsonb(coalesce(cardinality(v_planned), 0));
end $$;
