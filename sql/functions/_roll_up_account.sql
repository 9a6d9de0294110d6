-- Adds up to p_limit of the account's events that usage_rollups does not count yet, in the order of booking; answers how many.
-- Internal. The caller sees to it that nobody else does so meanwhile. Takes no lock of the account: see usage_rollup_marks.
create or replace function billing._roll_up_account(p_account_id text, p_limit bigint)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_mark  bigint := coalesce((select usage_id from billing.usage_rollup_marks where account_id = p_account_id), 0);
  v_last  bigint;
  v_count bigint;
begin
  with batch as materialized (
    select u.id, (u.occurred_at at time zone 'UTC')::date as day, u.action, u.agent, u.department_id, u.member_id, u.run_id,
           u.credits
      from billing.credit_usage u where u.account_id = p_account_id and u.id > v_mark order by u.id limit p_limit
  ), counted as (
    select b.day, b.action, b.agent, b.department_id, b.member_id, b.run_id, count(*) as events, sum(b.credits)::bigint as credits,
           case grouping(b.action, b.agent, b.department_id, b.member_id, b.run_id)
             when 15 then 'action' when 23 then 'agent' when 27 then 'department' when 29 then 'member' when 30 then 'run'
             else 'all' end as grain
      from batch b
     group by grouping sets ((b.day, b.action), (b.day, b.agent), (b.day, b.department_id), (b.day, b.member_id),
       (b.day, b.run_id), (b.day, b.action, b.agent, b.department_id, b.member_id))
  ), written as (
    insert into billing.usage_rollups as r
      (account_id, grain, day, key, action, agent, department_id, member_id, run_id, events, credits)
    select p_account_id, c.grain, c.day,
           md5(jsonb_build_array(c.action, c.agent, c.department_id, c.member_id, c.run_id)::text)::uuid,
           c.action, c.agent, c.department_id, c.member_id, c.run_id, c.events, c.credits
      from counted c
    on conflict (account_id, grain, day, key) do update
       set events = r.events + excluded.events, credits = r.credits + excluded.credits
  )
  select max(id), count(*) into v_last, v_count from batch;
  if v_count > 0 then
    insert into billing.usage_rollup_marks (account_id, usage_id) values (p_account_id, v_last)
    on conflict (account_id) do update set usage_id = excluded.usage_id;
  end if;
  return v_count;
end $$;
