-- Takes an event up, for ten seconds, doubling with each claim; null when it is finished or not due. After eight claims
-- without an end it is parked: something in it kills its worker. Callers: service.
create or replace function billing.claim_stripe_event(p_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_event billing.stripe_events;
begin
  update billing.stripe_events
     set claims = claims + 1,
         next_attempt_at = now() + least(interval '10 seconds' * power(2, claims), interval '1 hour'),
         state = case when claims >= 8 then 'parked' else state end,
         reason = case when claims >= 8 then coalesce(reason, 'too_many_attempts') else reason end,
         finished_at = case when claims >= 8 then now() end
   where id = p_id and state = 'received' and next_attempt_at <= now()
  returning * into v_event;
  if not found or v_event.state = 'parked' then
    return null;
  end if;
  return jsonb_build_object('id', v_event.id, 'type', v_event.type, 'object_id', v_event.object_id,
    'payload', encode(v_event.payload, 'hex'), 'claims', v_event.claims);
end $$;
