-- Resolves the open differences of subjects that a run found equal. p_subjects: what it looked at; p_found: its findings.
-- Internal.
create or replace function billing._settle_differences(p_subjects text[], p_found jsonb)
  returns void
  language sql volatile security definer set search_path = '' as $$
  update billing.reconciliation_differences d set resolved_at = now(), resolution = 'found equal'
   where d.resolved_at is null and d.subject = any (p_subjects)
     and not exists (select from jsonb_array_elements(p_found) f where f->>'id' = d.subject);
$$;
