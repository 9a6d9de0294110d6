-- Notes how far a run came, adds to its counts, and renews its lease; p_release gives the lease back instead.
-- Callers: service. A repeat counts twice: counts are for people. Answers the run, or null when it is finished.
create or replace function billing.save_reconciliation(
  p_id text, p_step text, p_cursor text, p_counts jsonb, p_release boolean)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.reconciliations r
     set step = p_step, cursor = p_cursor,
         claims = case when (step, cursor) is distinct from (p_step, p_cursor) then 1 else claims end,
         counts = counts || coalesce((select jsonb_object_agg(key, coalesce((counts->>key)::bigint, 0) + value::bigint)
                                        from jsonb_each_text(p_counts)), '{}'),
         lease_until = case when p_release then now() else now() + interval '2 minutes' end
   where id = p_id and state = 'running'
  returning to_jsonb(r);
$$;
