-- What was used in the days p_from to p_to (UTC, both included), by each of p_groups: day (every day, in order), or action,
-- agent, member, department, run (most credits first, p_limit of them, the others in rest); of one name only when p_filter_by
-- says of what, p_filter being null for events without one.
-- Callers: service. Reads usage_rollups and the events after them; a run together with another dimension is counted from the
-- events themselves, of months that are still kept. Raises RF001 unknown_account, RF008 invalid_value.
create or replace function billing.usage_summary(
  p_account_id text, p_from date, p_to date, p_groups text[], p_filter_by text, p_filter text, p_limit integer)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_mark    bigint;
  v_group   text;
  v_grain   text;
  v_answer  jsonb;
  v_answers jsonb := '{}';
begin
  perform billing.get_account(p_account_id);
  if p_to < p_from or p_to - p_from > 366 then
    raise exception using errcode = 'RF008', message = 'A period ends when it begins or later, and has at most 367 days.';
  elsif not (p_groups || coalesce(p_filter_by, 'day')) <@ array['day', 'action', 'agent', 'member', 'department', 'run']
        or p_filter_by = 'day' then
    raise exception using errcode = 'RF008', message = 'Usage is grouped by day, action, agent, member, department or run.';
  end if;
  foreach v_group in array p_groups loop
    v_grain := case when p_filter_by is null then coalesce(nullif(v_group, 'day'), 'action')
                    when v_group in ('day', p_filter_by) then p_filter_by
                    when 'run' not in (v_group, p_filter_by) then 'all' end;
    v_mark := case when v_grain is null then 0
      else coalesce((select m.usage_id from billing.usage_rollup_marks m where m.account_id = p_account_id), 0) end;
    v_answer := billing._usage_by(p_account_id, p_from, p_to, v_group, p_filter_by, p_filter, p_limit, v_grain, v_mark);
    v_answers := v_answers || jsonb_build_object(v_group, v_answer->'rows');
  end loop;
  return jsonb_build_object('account_id', p_account_id, 'from', p_from, 'to', p_to, 'credits', v_answer->'credits',
    'events', v_answer->'events', 'groups', v_answers);
end $$;
