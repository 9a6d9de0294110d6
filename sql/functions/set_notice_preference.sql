-- Switches a topic on or off for an account and channel; what is planned already is still sent. Callers: service, which has
-- checked that the topic may be switched off. Repeatable. Raises RF001 unknown_account, RF008 invalid_value (channel).
create or replace function billing.set_notice_preference(
  p_account_id text, p_topic text, p_channel text, p_enabled boolean, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  insert into billing.notice_preferences (account_id, topic, channel, enabled)
  values (p_account_id, p_topic, p_channel, p_enabled)
  on conflict (account_id, topic, channel) do update set enabled = excluded.enabled, updated_at = now();
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (p_account_id, p_actor, 'notice_preference.set', p_topic, jsonb_build_object('channel', p_channel, 'enabled', p_enabled));
  return billing.get_notice_preferences(p_account_id);
end $$;
