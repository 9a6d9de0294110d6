-- The partition of credit_usage that holds a month, once the month is over. Internal; changes nothing.
-- Raises RF008 invalid_value (not the first day of a month), RF009 not_found, RF010 state_conflict (not over yet).
create or replace function billing._usage_partition(p_month date)
  returns text
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_name text := 'credit_usage_' || to_char(p_month, 'YYYY_MM');
begin
  if p_month is null or p_month <> date_trunc('month', p_month) then
    raise exception using errcode = 'RF008', message = 'A month is named by its first day.';
  elsif to_regclass('billing.' || v_name) is null then
    raise exception using errcode = 'RF009', message = 'No usage is kept of this month.';
  elsif (now() at time zone 'UTC')::date < p_month + interval '1 month' then
    raise exception using errcode = 'RF010', message = 'This month is not over yet.';
  end if;
  return v_name;
end $$;
