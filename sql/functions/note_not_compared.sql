-- Notes what a run could not look at, and why; once for each. Callers: service. Idempotent. Answers the whole list.
create or replace function billing.note_not_compared(p_run_id text, p_what text, p_reason text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.reconciliations r
     set not_compared = case when r.not_compared @> n.entry then r.not_compared else r.not_compared || n.entry end
    from (select jsonb_build_array(jsonb_build_object('what', p_what, 'reason', p_reason)) as entry) n
   where r.id = p_run_id
  returning r.not_compared;
$$;
