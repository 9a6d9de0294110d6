-- Resolves the open differences of objects that could not be read and can be now; p_subjects: a json array of their ids.
-- Callers: service. Idempotent. Answers how many.
create or replace function billing.settle_unreadable(p_subjects jsonb)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  with settled as (
    update billing.reconciliation_differences d set resolved_at = now(), resolution = 'read again'
     where d.resolved_at is null and d.reason like 'unreadable:%'
       and d.subject in (select jsonb_array_elements_text(p_subjects))
    returning 1)
  select to_jsonb(count(*)) from settled;
$$;
