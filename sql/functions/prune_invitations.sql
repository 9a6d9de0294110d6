-- Forgets up to p_limit invitations that would have expired a week ago, whatever became of them; answers how many.
-- Callers: service.
create or replace function billing.prune_invitations(p_limit integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  with old as (
    select id from billing.invitations where expires_at < now() - interval '7 days'
     order by expires_at limit p_limit for update skip locked
  ), gone as (
    delete from billing.invitations i using old where i.id = old.id returning i.id)
  select to_jsonb(count(*)) from gone;
$$;
