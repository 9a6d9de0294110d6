-- What is charged for credits of a net price: the credits, the fees, then the taxes, which are computed on credits and fees.
-- Each line is rounded half up, to what the currency can charge; one of nothing is left out. Internal. null for a null price.
create or replace function billing._charge_lines(p_net bigint, p_currency text, p_purpose text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  with rules as (
    select r.*, coalesce(c.step, 1) as step
      from billing.fee_rules r left join billing.currencies c on c.code = p_currency
     where r.active and r.applies_to in (p_purpose, 'both') and (r.currency is null or r.currency = p_currency)
  ), fees as (
    select id, kind, label, (round((p_net * percent / 100 + fixed) / step) * step)::bigint as amount from rules where kind = 'fee'
  ), taxes as (
    select id, kind, label, (round(((p_net + (select coalesce(sum(f.amount), 0) from fees f)) * percent / 100 + fixed) / step)
        * step)::bigint
      from rules where kind = 'tax'
  )
  select jsonb_build_array(jsonb_build_object('kind', 'credits', 'label', 'Credits', 'amount', p_net))
      || coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'label', c.label, 'amount', c.amount) order by c.kind, c.id)
                  filter (where c.amount > 0), '[]')
    from (select * from fees union all select * from taxes) c
  having p_net is not null;
$$;
