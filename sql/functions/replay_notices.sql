-- Makes a delivery due again, whatever became of it, or up to 1,000 that failed (p_id null); answers their ids. A webhook keeps
-- its id, so that a receiver knows a repeat. Callers: service. Raises RF009 not_found.
create or replace function billing.replay_notices(p_id bigint, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_ids bigint[];
begin
  with again as (
    update billing.notice_deliveries
       set state = 'pending', reason = null, claims = 0, failures = 0, next_attempt_at = now(), sent_at = null
     where id in (select id from billing.notice_deliveries
                   where case when p_id is null then state = 'failed' else id = p_id end order by id limit 1000)
    returning id
  )
  select array_agg(id order by id) into v_ids from again;
  if p_id is not null and v_ids is null then
    raise exception using errcode = 'RF009', message = 'There is no such delivery of a notice.';
  end if;
  insert into billing.audit_log (actor, action, subject, details)
  values (p_actor, 'notices.replayed', coalesce(p_id::text, 'failed'), jsonb_build_object('due', cardinality(v_ids)));
  return to_jsonb(coalesce(v_ids, '{}'));
end $$;
