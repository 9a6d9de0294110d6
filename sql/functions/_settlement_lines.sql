-- What a settlement charges, as usage lines: its usage, priced by the rate cards; or its amount, for what the hold was
-- placed for; or neither: of a final settlement what is left of the hold, of another one nothing.
-- Internal; changes nothing. Raises RF006 unknown_action, RF008 invalid_value, RF016 unknown_model, RF017 unknown_dimension.
create or replace function billing._settlement_lines(p_hold billing.credit_holds, p_settlement jsonb, p_final boolean)
  returns billing.usage_line[]
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_lines billing.usage_line[] := '{}';
  v_items jsonb := coalesce(p_settlement->'usage', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
    'amount', coalesce((p_settlement->>'amount')::bigint, case when p_final then greatest(0, p_hold.amount - p_hold.spent) else 0 end),
    'action', p_hold.action, 'quantity', p_hold.quantity, 'dimensions', p_hold.dimensions,
    'metadata', coalesce(p_settlement->'metadata', p_hold.metadata)))));
  v_item  jsonb;
  v_price billing.price;
begin
  for v_item in select billing._hold_attributes(p_hold) || i.value from jsonb_array_elements(v_items) i loop
    if v_item->>'amount' is not null then
      v_price := row((v_item->>'amount')::bigint, null);
      continue when v_price.credits = 0;
    else
      v_price := billing._price_event(p_hold.account_id, v_item, now());
    end if;
    if v_price.credits is null or v_price.credits not between 1 and 1000000000000000 then
      perform billing._refuse_unpriced(v_item, v_price);
    end if;
    v_lines := v_lines || row(null, p_hold.account_id, 1, p_hold.id || coalesce(':' || (p_settlement->>'id'), ''), null,
      v_price.credits, coalesce((v_item->>'quantity')::bigint, 1), now(), v_item, null)::billing.usage_line;
  end loop;
  return v_lines;
end $$;
