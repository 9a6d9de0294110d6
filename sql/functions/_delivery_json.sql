-- A delivery with its notice, as operators and owners of endpoints see it. Internal.
create or replace function billing._delivery_json(p_delivery billing.notice_deliveries)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_delivery.id, 'notice_id', o.id, 'account_id', nullif(o.account_id, ''), 'topic', o.topic,
    'channel', p_delivery.channel, 'endpoint_id', p_delivery.endpoint_id, 'state', p_delivery.state, 'reason', p_delivery.reason,
    'attempts', p_delivery.claims, 'created_at', o.created_at, 'sent_at', p_delivery.sent_at,
    'next_attempt_at', case when p_delivery.state = 'pending' then p_delivery.next_attempt_at end)
    from billing.outbox o where o.id = p_delivery.notice_id;
$$;
