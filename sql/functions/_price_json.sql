-- A price that was agreed to, as people see it: the package, its credits and amount, and the smallest charge with its lines.
-- Internal. null for none.
create or replace function billing._price_json(p_price jsonb)
  returns jsonb
  language sql immutable security definer set search_path = '' as $$
  select jsonb_build_object('package_id', p_price->'package_id', 'credits', p_price->'credits', 'amount', p_price->'amount',
           'currency', p_price->'currency', 'least_credits', p_price->'least_credits',
           'charge', jsonb_build_object('net_amount', p_price#>'{lines,0,amount}', 'amount', billing._lines_total(p_price->'lines'),
             'currency', p_price->'currency', 'lines', p_price->'lines'))
   where p_price is not null;
$$;
