-- Claims an Idempotency-Key for a minute: new, done (with the stored answer), in_flight, conflict (another body), or expired
-- (the answer is over or forgotten, and what it made lives). p_subject: the id of what the request makes, null for nothing that
-- lasts; p_renews: an answer that is over is made again, in the next round. Callers: service.
-- A claim that nobody finished within its minute may be taken over: its process died.
create or replace function billing.begin_request(
  p_caller text, p_key text, p_fingerprint uuid, p_subject text default null, p_renews boolean default false)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_request billing.idempotent_requests;
  v_again   boolean;
begin
  loop -- an old row may be pruned between insert and select
    insert into billing.idempotent_requests (caller, key, fingerprint, lease_until, subject)
    values (p_caller, p_key, p_fingerprint, now() + interval '1 minute', p_subject)
    on conflict (caller, key) do nothing;
    if found then
      return '{"state": "new"}';
    end if;
    select * into v_request from billing.idempotent_requests where caller = p_caller and key = p_key for update;
    exit when found;
  end loop;
  v_again := v_request.status is not null and v_request.answer_until <= now();
  if v_request.fingerprint <> p_fingerprint then
    return '{"state": "conflict"}';
  elsif v_request.forgotten_at is not null or (v_again and not p_renews) then
    return '{"state": "expired"}';
  elsif v_request.status is not null and not v_again then
    return jsonb_build_object('state', 'done', 'status', v_request.status, 'body', v_request.body);
  elsif not v_again and v_request.lease_until > now() then
    return '{"state": "in_flight"}';
  end if;
  update billing.idempotent_requests
     set lease_until = now() + interval '1 minute', status = null, body = null, round = round + v_again::integer
   where caller = p_caller and key = p_key returning round into v_request.round;
  return jsonb_strip_nulls(jsonb_build_object('state', 'new', 'round', nullif(v_request.round, 1)));
end $$;
