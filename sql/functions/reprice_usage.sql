-- Books usage that waited for a price and has one now, up to p_limit events; the others wait for the next card.
-- Callers: service. Repeatable: an event is booked once. Answers booked, waiting and the accounts to check.
create or replace function billing.reprice_usage(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_ids    bigint[];
  v_events jsonb;
  v_answer jsonb;
begin
  select array_agg(p.id order by p.id), jsonb_agg(p.event || jsonb_build_object('account_id', p.account_id) order by p.id)
    into v_ids, v_events
    from (select * from billing.parked_usage w
           where w.resolved_at is null and w.code in ('unknown_action', 'unknown_model', 'unknown_dimension')
             and exists (select from billing.agent_action_costs c where c.action = w.event->>'action'
                            and c.effective_from <= now() and c.effective_until > now()
                            and greatest(c.created_at, c.effective_from) > coalesce(w.tried_at, '-infinity'))
           order by w.id limit p_limit for update skip locked) p;
  if v_ids is null then
    return '{"booked": 0, "waiting": 0, "topup_due": []}';
  end if;
  v_answer := billing.record_usage(v_events);
  update billing.parked_usage w
     set tried_at = clock_timestamp(), code = coalesce(r.code, w.code),
         resolved_at = case when r.code is null then now() end,
         resolution = case when r.code is null then 'booked' end
    from unnest(v_ids) with ordinality i (id, place)
    left join jsonb_to_recordset(v_answer->'rejected') as r (index bigint, code text) on r.index = i.place - 1
   where w.id = i.id;
  return jsonb_build_object('booked', v_answer->'accepted', 'waiting', jsonb_array_length(v_answer->'rejected'),
    'topup_due', v_answer->'topup_due');
end $$;
