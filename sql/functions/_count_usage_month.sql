-- How many events a month's partition of credit_usage holds, and their credits. Internal. Waits for bookings that are
-- under way in it and lets no other in until the end of the transaction; the months after it take theirs all the while.
create or replace function billing._count_usage_month(p_partition text, out events bigint, out credits numeric)
  language plpgsql volatile security definer set search_path = '' as $$
begin
  execute format('lock table billing.%I in share mode', p_partition);
  execute format('select count(*), coalesce(sum(credits), 0) from billing.%I', p_partition) into events, credits;
end $$;
