-- Plans the portions of a paid line: one at the beginning of each grant_interval of its period, of equal credits and money to
-- the last micro-credit and minor unit. Internal: the caller holds the account's lock and has kept the line, so once.
create or replace function billing._plan_portions(
  p_account_id text, p_facts jsonb, p_line jsonb, p_plan billing.subscription_plans, p_credits bigint)
  returns void
  language sql volatile security definer set search_path = '' as $$
  with period as (
    select to_timestamp((p_line->>'period_start')::float8) at time zone 'UTC' as starts,
           to_timestamp((p_line->>'period_end')::float8) at time zone 'UTC' as ends
  ), due as (
    -- From the start each time: 31 January, 28 February, 31 March. A portion of less than a day is none.
    select n, p.starts + n * ('1 ' || p_plan.grant_interval)::interval as at, p.ends
      from period p, generate_series(0, 1095) n
     where n = 0 or p.starts + n * ('1 ' || p_plan.grant_interval)::interval < p.ends - interval '1 day'
  ), parts as (
    select n, at, coalesce(lead(at) over (order by n), ends) as ends_at, count(*) over () as many from due
  )
  insert into billing.subscription_portions (line_id, number, account_id, credits, amount, due_at, ends_at, facts, line)
  select p_line->>'id', n + 1, p_account_id,
         floor(p_credits::numeric * (n + 1) / many) - floor(p_credits::numeric * n / many),
         floor((p_line->>'amount')::numeric * (n + 1) / many) - floor((p_line->>'amount')::numeric * n / many),
         at at time zone 'UTC', ends_at at time zone 'UTC', p_facts - 'lines', p_line
    from parts;
$$;
