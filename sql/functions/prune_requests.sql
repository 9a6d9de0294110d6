-- Forgets up to p_limit answers of POSTs with an Idempotency-Key that are older than seven days, and requests whose process
-- died; answers how many. The fingerprint stays where something was made: its key is never taken for another request. One
-- that is in flight is never among them. Callers: service.
create or replace function billing.prune_requests(p_limit integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  with due as (
    select caller, key, billing._request_made(subject) as made from billing.idempotent_requests
     where forgotten_at is null and lease_until <= now() and created_at < now() - interval '7 days'
     order by created_at limit p_limit for update skip locked
  ), kept as (
    update billing.idempotent_requests r set status = null, body = null, forgotten_at = now()
      from due where due.made and r.caller = due.caller and r.key = due.key returning r.key
  ), gone as (
    delete from billing.idempotent_requests r using due
     where not due.made and r.caller = due.caller and r.key = due.key returning r.key)
  select to_jsonb((select count(*) from kept) + (select count(*) from gone));
$$;
