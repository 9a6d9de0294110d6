-- The packages on sale; total and lines: what one of it is charged, with fees and taxes. Callers: service.
create or replace function billing.list_packages()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'credits', p.credits, 'amount', p.amount,
    'currency', p.currency, 'allow_promotion_codes', p.allow_promotion_codes, 'lines', c.lines, 'total', billing._lines_total(c.lines)) order by p.sort_order, p.credits, p.id), '[]')
  from billing.credit_packages p cross join lateral (select billing._charge_lines(p.amount, p.currency, 'purchase') as lines) c
 where p.active;
$$;
