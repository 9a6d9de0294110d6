-- Takes a run up for two minutes at a time; null when it is finished or somebody is at it. save_reconciliation renews.
-- A run that was taken up eight times without getting further has failed. Callers: service.
create or replace function billing.claim_reconciliation(p_id text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.reconciliations r
     set claims = claims + 1, lease_until = now() + interval '2 minutes',
         state = case when claims >= 8 then 'failed' else state end,
         reason = case when claims >= 8 then coalesce(reason, 'too_many_attempts') else reason end,
         finished_at = case when claims >= 8 then now() end
   where id = p_id and state = 'running' and lease_until <= now()
  returning to_jsonb(r);
$$;
