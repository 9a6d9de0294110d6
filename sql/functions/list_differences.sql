-- Differences between Stripe and the books, newest first, up to p_limit; only open ones unless p_all. Callers: service.
create or replace function billing.list_differences(p_all boolean, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(d) order by d.id desc), '[]')
    from (select * from billing.reconciliation_differences where p_all or resolved_at is null order by id desc limit p_limit) d;
$$;
