-- Claims an Idempotency-Key for a minute: new, done (with the stored answer), in_flight, or conflict (another body).
-- Callers: service. A claim that nobody finished within its minute may be taken over: its process died.
create or replace function billing.begin_request(p_caller text, p_key text, p_fingerprint uuid)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_request billing.idempotent_requests;
begin
  loop -- an old row may be pruned between insert and select
    insert into billing.idempotent_requests (caller, key, fingerprint, lease_until)
    values (p_caller, p_key, p_fingerprint, now() + interval '1 minute')
    on conflict (caller, key) do nothing;
    if found then
      return '{"state": "new"}';
    end if;
    select * into v_request from billing.idempotent_requests where caller = p_caller and key = p_key for update;
    exit when found;
  end loop;
  if v_request.fingerprint <> p_fingerprint then
    return '{"state": "conflict"}';
  elsif v_request.status is not null then
    return jsonb_build_object('state', 'done', 'status', v_request.status, 'body', v_request.body);
  elsif v_request.lease_until > now() then
    return '{"state": "in_flight"}';
  end if;
  update billing.idempotent_requests set lease_until = now() + interval '1 minute' where caller = p_caller and key = p_key;
  return '{"state": "new"}';
end $$;
