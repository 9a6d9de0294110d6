-- The newest runs, up to p_limit. Callers: service.
create or replace function billing.list_reconciliations(p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(r) order by r.created_at desc, r.id), '[]')
    from (select * from billing.reconciliations order by created_at desc, id limit p_limit) r;
$$;
