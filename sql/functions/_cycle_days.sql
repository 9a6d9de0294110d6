-- The nominal length of a cycle in twelfths of a day, so that a year is exactly twelve months. Internal.
create or replace function billing._cycle_days(p_interval text, p_count integer)
  returns numeric
  language sql immutable security definer set search_path = '' as $$
  select case p_interval when 'day' then 12 when 'week' then 84 when 'month' then 365 when 'year' then 4380 end::numeric
         * coalesce(p_count, 1);
$$;
