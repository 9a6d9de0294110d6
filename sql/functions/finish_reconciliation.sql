-- Ends a run: done, or failed with a reason. Callers: service. Idempotent. Answers the run.
create or replace function billing.finish_reconciliation(p_id text, p_state text, p_reason text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_state not in ('done', 'failed') then
    raise exception using errcode = 'RF008', message = 'A reconciliation ends done or failed.';
  end if;
  update billing.reconciliations set state = p_state, reason = p_reason, finished_at = now()
   where id = p_id and state = 'running';
  return billing.get_reconciliation(p_id);
end $$;
