-- What lines of a charge come to, in minor units. Internal.
create or replace function billing._lines_total(p_lines jsonb)
  returns bigint
  language sql immutable security definer set search_path = '' as $$
  select sum((l->>'amount')::bigint)::bigint from jsonb_array_elements(p_lines) l;
$$;
