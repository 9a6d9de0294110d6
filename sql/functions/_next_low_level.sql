-- The highest low-balance level of the account below p_available, micro-credits; -2^62 when there is none, which stays in
-- bigint when a balance is taken from it. Internal.
create or replace function billing._next_low_level(p_account_id text, p_available bigint)
  returns bigint
  language sql stable security definer set search_path = '' as $$
  select coalesce(max(l), -4611686018427387904)
    from billing.accounts a cross join unnest(a.low_levels) l where a.id = p_account_id and l < p_available;
$$;
