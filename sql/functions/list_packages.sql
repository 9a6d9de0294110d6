-- The packages on sale. Callers: service.
create or replace function billing.list_packages()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', name, 'credits', credits, 'amount', amount,
    'currency', currency) order by sort_order, credits, id), '[]')
  from billing.credit_packages where active;
$$;
