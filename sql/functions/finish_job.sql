-- Records that a run of a job ended, in its newest slot, and forgets runs older than a week. Callers: service.
create or replace function billing.finish_job(p_job text, p_result jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  update billing.job_runs set finished_at = clock_timestamp(), result = p_result
   where job = p_job and slot = (select max(slot) from billing.job_runs where job = p_job);
  delete from billing.job_runs where job = p_job and slot < now() - interval '7 days';
  return 'true';
end $$;
