-- Counts what a hold reserves (p_credits) against the limits of its subjects, or refuses it.
-- Internal: the caller holds the account's lock. Raises RF003 limit_reached.
create or replace function billing._hold_limits(p_account_id text, p_subjects text[], p_credits bigint)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_count integer[] := array[cardinality(p_subjects)];
begin
  if cardinality(p_subjects) > 0 then
    perform billing._count_limits(array_fill(p_account_id, v_count), p_subjects, array_fill(0::bigint, v_count),
      array_fill(p_credits, v_count), array_fill(now(), v_count), true);
  end if;
end $$;
