-- Refuses a hold without an id, an end or a price. Internal; changes nothing.
-- Raises RF006 unknown_action, RF008 invalid_value, RF016 unknown_model, RF017 unknown_dimension.
create or replace function billing._require_hold(p_hold jsonb, p_price billing.price)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
begin
  if length(coalesce(p_hold->>'id', '')) not between 1 and 255
    or coalesce((p_hold->>'expires_in')::integer, 900) not between 1 and 86400
  then
    raise exception using errcode = 'RF008',
      message = 'A hold has an id of 1 to 255 characters and ends within 1 to 86400 seconds.';
  end if;
  if p_price.credits is null or p_price.credits not between 1 and 1000000000000000 then
    perform billing._refuse_unpriced(p_hold, p_price);
  end if;
end $$;
