-- Drops the payload of up to p_limit events that were done or ignored more than p_days ago; answers how many. Their rows
-- stay, so that a duplicate is still known as one. Callers: service.
create or replace function billing.prune_stripe_events(p_days integer, p_limit integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  with old as (
    select id from billing.stripe_events
     where payload is not null and state in ('done', 'ignored') and finished_at < now() - make_interval(days => p_days)
     order by finished_at limit p_limit for update skip locked
  ), pruned as (
    update billing.stripe_events e set payload = null from old where e.id = old.id returning e.id)
  select to_jsonb(count(*)) from pruned;
$$;
