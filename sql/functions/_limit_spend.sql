-- Counts a spend against the limits of its department, member and agent, or refuses it; one that happened before the
-- window counts in none of today's, as with usage.
-- Internal: the caller holds the account's lock. Raises RF003 limit_reached.
create or replace function billing._limit_spend(p_account_id text, p_event jsonb, p_credits bigint)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_subjects text[] := billing._event_subjects(p_event);
  v_count    integer[] := array[cardinality(v_subjects)];
  v_at       timestamptz := least(coalesce((p_event->>'occurred_at')::timestamptz, now()), now());
begin
  if cardinality(v_subjects) > 0 then
    perform billing._count_limits(array_fill(p_account_id, v_count), v_subjects, array_fill(p_credits, v_count),
      array_fill(0::bigint, v_count), array_fill(v_at, v_count), true);
  end if;
end $$;
