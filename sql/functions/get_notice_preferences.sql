-- What the account switched off or on: topic, channel, enabled. Callers: service. Raises RF001 unknown_account.
create or replace function billing.get_notice_preferences(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (select coalesce(jsonb_agg(jsonb_build_object('topic', p.topic, 'channel', p.channel, 'enabled', p.enabled)), '[]')
            from billing.notice_preferences p where p.account_id = p_account_id);
end $$;
