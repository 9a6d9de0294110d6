-- An operator's decision that a parked event is never booked, with the reason. Callers: service.
-- Raises RF008 invalid_value (no reason), RF009 not_found (nothing waits under the id).
create or replace function billing.discard_parked_usage(p_id bigint, p_reason text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_parked billing.parked_usage;
begin
  if length(coalesce(p_reason, '')) not between 1 and 500 then
    raise exception using errcode = 'RF008', message = 'Say why it is discarded.';
  end if;
  update billing.parked_usage set resolved_at = now(), resolution = p_reason
   where id = p_id and resolved_at is null returning * into v_parked;
  if not found then
    raise exception using errcode = 'RF009', message = 'No parked usage waits under this id.';
  end if;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (v_parked.account_id, p_actor, 'usage.discarded', v_parked.event_id,
    jsonb_build_object('reason', p_reason, 'event', v_parked.event));
  return to_jsonb(v_parked);
end $$;
