-- Forgets up to p_limit answers of POSTs with an Idempotency-Key that are older than seven days; answers how many. One that
-- is in flight is never among them. Callers: service.
create or replace function billing.prune_requests(p_limit integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  with old as (
    select caller, key from billing.idempotent_requests
     where status is not null and created_at < now() - interval '7 days'
     order by created_at limit p_limit for update skip locked
  ), gone as (
    delete from billing.idempotent_requests r using old where r.caller = old.caller and r.key = old.key returning r.key)
  select to_jsonb(count(*)) from gone;
$$;
