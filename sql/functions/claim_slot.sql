-- True for the one scheduler that fires the current slot of a periodic job; slots are cut by the database's clock.
-- Callers: service.
create or replace function billing.claim_slot(p_job text, p_period_seconds integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  insert into billing.job_runs (job, slot)
  values (p_job, to_timestamp(floor(extract(epoch from now()) / p_period_seconds) * p_period_seconds))
  on conflict do nothing;
  return to_jsonb(found);
end $$;
