-- Keeps a verified event, once; p_payload is the signed body in hex. Callers: service. Idempotent by event id.
-- Answers its state and whether it is fresh.
create or replace function billing.record_stripe_event(
  p_id text, p_type text, p_object_id text, p_livemode boolean, p_api_version text, p_payload text,
  p_occurred_at bigint, p_parked_reason text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state text;
begin
  insert into billing.stripe_events
    (id, type, object_id, livemode, api_version, payload, occurred_at, state, reason, finished_at)
  values (p_id, p_type, p_object_id, p_livemode, p_api_version, decode(p_payload, 'hex'), to_timestamp(p_occurred_at),
    case when p_parked_reason is null then 'received' else 'parked' end, p_parked_reason,
    case when p_parked_reason is null then null else now() end)
  on conflict (id) do nothing
  returning state into v_state;
  if found then
    return jsonb_build_object('state', v_state, 'fresh', true);
  end if;
  return (select jsonb_build_object('state', e.state, 'fresh', false) from billing.stripe_events e where e.id = p_id);
end $$;
