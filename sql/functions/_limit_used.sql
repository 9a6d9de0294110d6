-- What a subject of limits has spent since p_since, by the time it happened. Internal. Reads the usage of the window.
create or replace function billing._limit_used(p_account_id text, p_subject text, p_since timestamptz)
  returns bigint
  language sql stable security definer set search_path = '' as $$
  -- An event is booked when it happened or later, so older partitions hold nothing of the window.
  select coalesce(sum(u.credits), 0)::bigint from billing.credit_usage u
   where u.account_id = p_account_id and u.created_at >= p_since and u.occurred_at >= p_since
     and p_subject in ('department:' || u.department_id, 'member:' || u.member_id, 'agent:' || u.agent);
$$;
