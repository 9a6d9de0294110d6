-- Keeps the lines that could not be booked: those that wait for a price, once per event; with p_all the others as well
-- (they came by queue, where nobody waits for an answer). Operators are told of what has no price, once a day.
-- Answers the lines, with idempotency_conflict for those whose id waits with other content.
-- Internal: the caller holds the locks of the accounts it booked; these may be others.
create or replace function billing._park_usage(p_lines billing.usage_line[], p_all boolean)
  returns billing.usage_line[]
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_unpriced constant text[] := array['unknown_action', 'unknown_model', 'unknown_dimension'];
  v_lines    billing.usage_line[];
  v_news     record;
begin
  insert into billing.parked_usage (account_id, event_id, code, event)
  select l.account_id, l.event_id, l.code, l.event from unnest(p_lines) l
   where l.code = any (v_unpriced) and length(l.event_id) between 1 and 255
   order by l.account_id, l.event_id
  on conflict (account_id, event_id) where resolved_at is null and code in ('unknown_action', 'unknown_model', 'unknown_dimension')
  do nothing;

  -- Planned anew each time: a plan made while little waits would read all that waits for every line when much does.
  execute $query$
    select array_agg(row(l.index, l.account_id, l.account_no, l.event_id, l.fingerprint, l.credits, l.quantity, l.occurred_at,
        l.event, case when l.code = any ($2) and md5((w.event - 'account_id')::text)::uuid <> l.fingerprint
                      then 'idempotency_conflict' else l.code end)::billing.usage_line order by l.index)
      from unnest($1) l
      left join billing.parked_usage w on w.account_id = l.account_id and w.event_id = l.event_id and w.resolved_at is null
           and w.code in ('unknown_action', 'unknown_model', 'unknown_dimension')
  $query$ into v_lines using p_lines, v_unpriced;

  if p_all then
    insert into billing.parked_usage (account_id, event_id, code, event)
    select l.account_id, l.event_id, l.code, l.event from unnest(v_lines) l
     where l.code is not null and l.code <> 'duplicate' and l.code <> all (v_unpriced);
  end if;
  for v_news in
    select min(l.account_id) as account_id, l.code, l.event->>'action' as action, l.event#>>'{dimensions,model}' as model,
           count(*) as events
      from unnest(v_lines) l where l.code = any (v_unpriced) group by 2, 3, 4
  loop
    perform billing._notify_operators(v_news.account_id, 'usage_unpriced',
      concat_ws(':', v_news.code, v_news.action, v_news.model), to_jsonb(v_news));
  end loop;
  return v_lines;
end $$;
