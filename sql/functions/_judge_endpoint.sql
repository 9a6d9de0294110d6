-- What the end of a delivery means for its endpoint: a success ends a run of failures; one that is gone, or has failed for
-- five days, is switched off, and operators are told. Internal. Touches the row only when it changes.
create or replace function billing._judge_endpoint(p_id text, p_state text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_endpoint billing.webhook_endpoints;
begin
  if p_state = 'sent' then
    update billing.webhook_endpoints set failing_since = null where id = p_id and failing_since is not null;
    return;
  end if;
  update billing.webhook_endpoints
     set failing_since = coalesce(failing_since, now()),
         enabled = not (p_state = 'gone' or coalesce(failing_since < now() - interval '5 days', false)),
         disabled_reason = case when p_state = 'gone' then 'gone' when failing_since < now() - interval '5 days' then 'failing' end
   where id = p_id and enabled and p_state in ('pending', 'gone')
     and (p_state = 'gone' or failing_since is null or failing_since < now() - interval '5 days')
  returning * into v_endpoint;
  if not v_endpoint.enabled then
    perform billing._notify_operators(coalesce(v_endpoint.account_id, ''), 'webhook_disabled', p_id, jsonb_build_object(
      'endpoint_id', p_id, 'account_id', v_endpoint.account_id, 'reason', v_endpoint.disabled_reason,
      'failing_since', v_endpoint.failing_since));
  end if;
end $$;
