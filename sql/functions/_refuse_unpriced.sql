-- Raises the refusal for an event that has no price (a code of _price_event), or one outside of the bounds.
-- Internal. Raises RF006 unknown_action, RF016 unknown_model, RF017 unknown_dimension, RF008 invalid_value.
create or replace function billing._refuse_unpriced(p_event jsonb, p_price billing.price)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_facts text := jsonb_build_object('action', p_event->'action', 'model', p_event#>'{dimensions,model}')::text;
begin
  if p_price.code = 'unknown_action' then
    raise exception using errcode = 'RF006', detail = v_facts,
      message = format('The action %s has no price. An operator sets one with "actions set".', p_event->>'action');
  elsif p_price.code = 'unknown_model' then
    raise exception using errcode = 'RF016', detail = v_facts,
      message = format('The action %s has prices by model, and none for %s.', p_event->>'action',
        coalesce('the model ' || (p_event#>>'{dimensions,model}'), 'a call that names no model'));
  elsif p_price.code = 'unknown_dimension' then
    raise exception using errcode = 'RF017', detail = v_facts,
      message = format('The card of the action %s has no rate for one of the dimensions.', p_event->>'action');
  end if;
  raise exception using errcode = 'RF008', message = 'A spend is between 0.000001 and 1000000000 credits.';
end $$;
