-- Ends a notice: sent, skipped (nobody to tell), or failed when it was tried eight times; pending leaves it to its back-off.
-- Callers: service. Idempotent.
create or replace function billing.finish_notice(p_id bigint, p_state text, p_reason text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.outbox
     set state = case when p_state = 'pending' and claims >= 8 then 'failed' else p_state end,
         reason = p_reason, sent_at = case when p_state = 'sent' then now() end
   where id = p_id and state = 'pending'
  returning to_jsonb(state);
$$;
