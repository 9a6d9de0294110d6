-- Books usage that waited for a price and has one now, up to p_limit events; the others wait for the next card. An event is
-- priced by the card of its time, or by the one of now when there was none; without a time of its own it happened when
-- it came.
-- Callers: service. Repeatable: an event is booked once. Answers booked, waiting and the accounts to check.
create or replace function billing.reprice_usage(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_started timestamptz := clock_timestamp();
  v_ids     bigint[];
  v_events  jsonb;
  v_answer  jsonb;
begin
  v_ids := array(
    select w.id from billing.parked_usage w
     where w.resolved_at is null and w.code in ('unknown_action', 'unknown_model', 'unknown_dimension')
       and exists (select from billing.agent_action_costs c where c.action = w.event->>'action'
                      and c.effective_from <= now() and c.effective_until > now()
                      and greatest(c.created_at, c.effective_from) > coalesce(w.tried_at, '-infinity'))
     order by w.id limit p_limit for update skip locked);
  if cardinality(v_ids) = 0 then
    return '{"booked": 0, "waiting": 0, "topup_due": []}';
  end if;
  -- Cards of these actions that are being written are waited for: they would be older than the trial that missed them.
  perform pg_advisory_xact_lock_shared(hashtextextended('billing.set_action_cost:' || a.action, 0))
     from (select distinct event->>'action' as action from billing.parked_usage where id = any (v_ids) order by 1) a;
  select jsonb_agg(p.event || jsonb_build_object('account_id', p.account_id, '_waited', jsonb_build_object(
           'since', p.created_at, 'priced_at',
           case when (billing._price_event(p.account_id, p.event, least(p.at, now()))).code is null then p.at else now() end))
           order by p.id)
    into v_events
    from (select w.*, coalesce((w.event->>'occurred_at')::timestamptz, w.created_at) as at
            from billing.parked_usage w where w.id = any (v_ids)) p;
  v_answer := billing.record_usage(v_events);
  update billing.parked_usage w
     set tried_at = v_started, code = coalesce(r.code, w.code),
         resolved_at = case when r.code is null then now() end,
         resolution = case when r.code is null then 'booked' end
    from (select id, row_number() over (order by id) - 1 as index from unnest(v_ids) id) i
    left join jsonb_to_recordset(v_answer->'rejected') as r (index bigint, code text) on r.index = i.index
   where w.id = i.id;
  return jsonb_build_object('booked', v_answer->'accepted', 'waiting', jsonb_array_length(v_answer->'rejected'),
    'topup_due', v_answer->'topup_due');
end $$;
