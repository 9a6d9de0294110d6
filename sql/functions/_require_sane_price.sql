-- Refuses a card whose prices look like a slip: ten times p_last or a tenth of it; without a last one a hundred times off
-- the middle of the action's other cards; a token above a credit. Internal; changes nothing.
-- Raises RF018 price_change_too_large.
create or replace function billing._require_sane_price(p_card jsonb, p_last billing.agent_action_costs)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_found record;
begin
  with wanted (dimension, price) as (
    select 'quantity', (p_card->>'credits')::numeric where p_card->>'credits' is not null
    union all
    select r.key, (r.value->>'credits')::numeric / (r.value->>'per')::numeric
      from jsonb_each(coalesce(nullif(p_card->'rates', 'null'), '{}')) r
  ), last (dimension, price) as (
    select 'quantity', p_last.credits::numeric where p_last.credits is not null
    union all
    select r.key, (r.value->>'credits')::numeric / (r.value->>'per')::numeric from jsonb_each(coalesce(p_last.rates, '{}')) r
  ), others (dimension, price) as (
    select o.dimension, percentile_cont(0.5) within group (order by o.price::float8)::numeric
      from (select r.key as dimension, (r.value->>'credits')::numeric / (r.value->>'per')::numeric as price
              from billing.agent_action_costs c cross join lateral jsonb_each(c.rates) r
             where c.action = p_card->>'action' and c.effective_until > now()
            union all
            select 'quantity', c.credits from billing.agent_action_costs c
             where c.action = p_card->>'action' and c.effective_until > now() and c.credits is not null) o
     group by o.dimension
  )
  select w.dimension, w.price, coalesce(l.price, o.price) as reference, l.price is null as is_first into v_found
    from wanted w left join last l using (dimension) left join others o using (dimension)
   where w.price not between l.price / 10 and l.price * 10
      or w.price = l.price * 10 or w.price = l.price / 10
      or (l.price is null and w.price not between o.price / 100 and o.price * 100)
      or (l.price is null and w.dimension like '%token%' and w.price > 1000000)
   limit 1;
  if found then
    raise exception using errcode = 'RF018',
      message = format('The price of %s looks like a slip. Look at the unit; if it is meant, set confirm.', v_found.dimension),
      detail = jsonb_build_object('dimension', v_found.dimension, 'price', v_found.price / 1000000,
        'reference', v_found.reference / 1000000)::text;
  end if;
end $$;
