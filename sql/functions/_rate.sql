-- What a card asks (micro-credits): credits for one of the quantity, and for each number in the dimensions its rate; or
-- unknown_dimension when one has none. Rounded up to a micro-credit, once, at the end. Internal; changes nothing.
create or replace function billing._rate(p_credits bigint, p_rates jsonb, p_quantity bigint, p_dimensions jsonb)
  returns billing.price
  language plpgsql immutable security definer set search_path = '' as $$
declare
  v_total numeric := coalesce(p_credits, 0) * coalesce(p_quantity, 1)::numeric;
  v_pool  record;
  v_rate  jsonb;
begin
  if p_rates is not null then
    if jsonb_typeof(p_dimensions) not in ('object', 'null') then
      return row(0, null)::billing.price;
    end if;
    for v_pool in
      select key, value from jsonb_each(case jsonb_typeof(p_dimensions) when 'object' then p_dimensions end)
       where jsonb_typeof(value) = 'number' or (p_rates ? key and value <> 'null')
    loop
      v_rate := p_rates->v_pool.key;
      if v_rate is null then
        return row(null, 'unknown_dimension')::billing.price;
      end if;
      -- Such a count cannot be meant: zero, which every movement refuses.
      if (case when jsonb_typeof(v_pool.value) = 'number' then v_pool.value::numeric not between 0 and 1e18 else true end) then
        return row(0, null)::billing.price;
      end if;
      -- Twenty places of each share, and fifteen of the sum: three times two thirds are two.
      v_total := v_total + round(v_pool.value::numeric * (v_rate->'credits')::numeric, 20) / (v_rate->'per')::numeric;
    end loop;
  end if;
  -- What is above the bounds is cut to what they refuse.
  return row(least(ceil(round(v_total, 15)), 2000000000000000), null)::billing.price;
end $$;
