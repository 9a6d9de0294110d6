-- Makes an event due again, whatever became of it; processing is idempotent. Callers: service. Raises RF009 not_found,
-- RF010 state_conflict (its payload was pruned).
create or replace function billing.replay_stripe_event(p_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_event billing.stripe_events;
begin
  update billing.stripe_events
     set state = 'received', reason = null, claims = 0, deferrals = 0, next_attempt_at = now(), finished_at = null
   where id = p_id and payload is not null
  returning * into v_event;
  if not found and exists (select from billing.stripe_events where id = p_id) then
    raise exception using errcode = 'RF010', message = 'The payload of this event was pruned after RETENTION_DAYS.';
  elsif not found then
    raise exception using errcode = 'RF009', message = 'There is no such event.';
  end if;
  insert into billing.audit_log (actor, action, subject) values (p_actor, 'stripe_event.replayed', p_id);
  return billing._event_json(v_event);
end $$;
