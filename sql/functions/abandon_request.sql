-- Ends an unfinished request: a repeat may try again at once. p_keep: something may have been made, so the key stays bound to
-- its body; else it is forgotten. Callers: service.
create or replace function billing.abandon_request(p_caller text, p_key text, p_keep boolean default false)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_keep then
    update billing.idempotent_requests set lease_until = now() where caller = p_caller and key = p_key and status is null;
  else
    delete from billing.idempotent_requests where caller = p_caller and key = p_key and status is null;
  end if;
  return 'true'::jsonb;
end $$;
