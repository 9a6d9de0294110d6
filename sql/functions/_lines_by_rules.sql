-- What is charged for credits of a net price: the credits, the fees, then the taxes, which are computed on credits and fees.
-- Each line is rounded half up, to what the currency can charge (p_step); one of nothing is left out. p_rules: as _fee_rules
-- returns them. Internal. null for a null price.
create or replace function billing._lines_by_rules(p_net bigint, p_step bigint, p_rules jsonb)
  returns jsonb
  language sql immutable security definer set search_path = '' as $$
  with rules as (
    select * from jsonb_to_recordset(p_rules) as r (id text, kind text, label text, percent numeric, fixed bigint)
  ), fees as (
    select id, kind, label, (round((p_net * percent / 100 + fixed) / p_step) * p_step)::bigint as amount from rules where kind = 'fee'
  ), taxes as (
    select id, kind, label, (round(((p_net + (select coalesce(sum(f.amount), 0) from fees f)) * percent / 100 + fixed) / p_step)
        * p_step)::bigint
      from rules where kind = 'tax'
  )
  select jsonb_build_array(jsonb_build_object('kind', 'credits', 'label', 'Credits', 'amount', p_net))
      || coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'label', c.label, 'amount', c.amount)
                            order by c.kind, c.id collate "C") filter (where c.amount > 0), '[]')
    from (select * from fees union all select * from taxes) c
  having p_net is not null;
$$;
