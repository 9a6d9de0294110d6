-- The newest slot of every job, when it was fired and finished, and its age. Callers: service.
create or replace function billing.job_status()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('job', job, 'slot', slot, 'fired_at', fired_at, 'finished_at', finished_at,
    'result', result, 'age_seconds', floor(extract(epoch from now() - fired_at))::bigint) order by job), '[]')
  from (select distinct on (job) * from billing.job_runs order by job, slot desc) newest;
$$;
