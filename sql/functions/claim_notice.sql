-- Takes a delivery of a notice up, by one of p_channels, for a minute, doubling with each claim; null when it is not due,
-- or its endpoint is gone or off, which ends it. With what the channel needs; of webhooks the secrets that sign.
-- Callers: service. p_channels has a default for workers of the version before, which only mail.
create or replace function billing.claim_notice(p_id bigint, p_channels text[] default '{mail}')
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_delivery billing.notice_deliveries;
  v_endpoint billing.webhook_endpoints;
begin
  update billing.notice_deliveries
     set claims = claims + 1, next_attempt_at = now() + least(interval '1 minute' * power(2, least(claims, 10)), interval '6 hours')
   where id = p_id and state = 'pending' and next_attempt_at <= now() and channel = any (p_channels)
  returning * into v_delivery;
  if not found then
    return null;
  end if;
  if v_delivery.channel = 'webhook' then
    select * into v_endpoint from billing.webhook_endpoints where id = v_delivery.endpoint_id and enabled;
    if not found then
      update billing.notice_deliveries set state = 'skipped', reason = 'endpoint_disabled' where id = p_id;
      return null;
    end if;
  end if;
  return (select jsonb_build_object('id', o.id, 'channel', v_delivery.channel, 'account_id', nullif(o.account_id, ''),
            'account_name', a.name, 'email', billing._notice_address(o, a.email), 'topic', o.topic, 'payload', o.payload, 'created_at', o.created_at,
            'claims', v_delivery.claims, 'endpoint_id', v_endpoint.id, 'url', v_endpoint.url,
            'secrets', case when v_endpoint.previous_until > now()
              then jsonb_build_array(v_endpoint.secret, v_endpoint.previous_secret)
              else jsonb_build_array(v_endpoint.secret) end)
            from billing.outbox o left join billing.accounts a on a.id = o.account_id where o.id = v_delivery.notice_id);
end $$;
