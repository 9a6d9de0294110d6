-- Usage of a period by one dimension, for usage_summary: rollups of p_grain (null: none) and the events after p_mark.
-- Internal. The statement sees one state of both.
create or replace function billing._usage_by(
  p_account_id text, p_from date, p_to date, p_group text, p_filter_by text, p_filter text, p_limit integer, p_grain text,
  p_mark bigint)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  with counted as (
    select r.day, r.action, r.agent, r.department_id, r.member_id, r.run_id, r.events, r.credits
      from billing.usage_rollups r
     where r.account_id = p_account_id and r.grain = p_grain and r.day between p_from and p_to
    union all
    -- An event is booked when it happened or later, by clocks that may differ a little.
    select (u.occurred_at at time zone 'UTC')::date, u.action, u.agent, u.department_id, u.member_id, u.run_id, 1, u.credits
      from billing.credit_usage u
     where u.account_id = p_account_id and u.id > p_mark
       and u.created_at >= (p_from - 1)::timestamp at time zone 'UTC'
       and u.occurred_at >= p_from::timestamp at time zone 'UTC'
       and u.occurred_at < (p_to + 1)::timestamp at time zone 'UTC'
  ), named as (
    select case p_group when 'day' then c.day::text when 'action' then c.action when 'agent' then c.agent
                        when 'member' then c.member_id when 'department' then c.department_id else c.run_id end as name,
           c.events, c.credits
      from counted c
     where p_filter_by is null
        or case p_filter_by when 'action' then c.action when 'agent' then c.agent when 'member' then c.member_id
                            when 'department' then c.department_id else c.run_id end is not distinct from p_filter
  ), grouped as (
    select n.name, sum(n.events)::bigint as events, sum(n.credits)::bigint as credits from named n group by n.name
  ), days as (
    select d::date::text as name from generate_series(p_from::timestamp, p_to::timestamp, interval '1 day') d
     where p_group = 'day'
  ), ranked as (
    select coalesce(g.name, d.name) as name, coalesce(g.events, 0) as events, coalesce(g.credits, 0) as credits,
           row_number() over (order by d.name, g.credits desc, g.name collate "C") as place
      from grouped g full join days d on d.name = g.name
  )
  select jsonb_build_object('credits', coalesce(sum(r.credits), 0)::bigint, 'events', coalesce(sum(r.events), 0)::bigint,
    'rows', jsonb_build_object(
      'data', coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'events', r.events, 'credits', r.credits) order by r.place)
                filter (where p_group = 'day' or r.place <= p_limit), '[]'),
      'rest', jsonb_build_object(
        'names', count(*) filter (where p_group <> 'day' and r.place > p_limit),
        'events', coalesce(sum(r.events) filter (where p_group <> 'day' and r.place > p_limit), 0)::bigint,
        'credits', coalesce(sum(r.credits) filter (where p_group <> 'day' and r.place > p_limit), 0)::bigint)))
    from ranked r;
$$;
