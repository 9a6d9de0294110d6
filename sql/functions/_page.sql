-- A page of a list that was read one row too far: the row too many only says that there is more. Internal.
create or replace function billing._page(p_limit integer, p_rows jsonb, p_cursor_field text)
  returns jsonb
  language sql immutable security definer set search_path = '' as $$
  select case when jsonb_array_length(coalesce(p_rows, '[]')) > p_limit
    then jsonb_build_object('data', p_rows - p_limit, 'next_cursor', p_rows->(p_limit - 1)->>p_cursor_field)
    else jsonb_build_object('data', coalesce(p_rows, '[]'), 'next_cursor', null) end;
$$;
