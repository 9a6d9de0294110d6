-- Counts movements against the limits of their subjects: parallel arrays of account, subject, credits spent, credits held
-- (negative: given back) and when it happened. Announces a limit when what was spent reaches it, once a window.
-- With p_strict a hard limit that the movement passes is refused, the tightest first.
-- Internal: the caller holds the locks of the accounts. Raises RF003 limit_reached.
create or replace function billing._count_limits(
  p_accounts text[], p_subjects text[], p_used bigint[], p_held bigint[], p_times timestamptz[], p_strict boolean)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_limit    record;
  v_tightest billing.credit_limits;
  v_needed   bigint;
begin
  for v_limit in
    with windows (period, start) as (
      values ('day', date_trunc('day', now(), 'UTC')), ('week', date_trunc('week', now(), 'UTC')),
             ('month', date_trunc('month', now(), 'UTC'))
    ), sums as (
      select m.account_id, m.subject, w.period, w.start, coalesce(sum(m.used) filter (where m.at >= w.start), 0)::bigint as used,
             sum(m.held)::bigint as held
        from unnest(p_accounts, p_subjects, p_used, p_held, p_times) m (account_id, subject, used, held, at)
       cross join windows w
       group by m.account_id, m.subject, w.period, w.start
    )
    -- A transaction that began before midnight may come after one that began later: it counts in no window of today's.
    update billing.credit_limits l
       set used = case when s.start > l.window_start then s.used when s.start = l.window_start then l.used + s.used
                       else l.used end,
           window_start = greatest(l.window_start, s.start),
           held = l.held + s.held
      from sums s
     where l.account_id = s.account_id and l.subject = s.subject and l.period = s.period
    returning l.*, s.used + s.held as added
  loop
    if p_strict and v_limit.hard and v_limit.added > 0 and v_limit.used + v_limit.held > v_limit.credits
      and (v_needed is null or v_limit.credits - v_limit.used - v_limit.held
            < v_tightest.credits - v_tightest.used - v_tightest.held)
    then
      v_needed := v_limit.added;
      select * into v_tightest from billing.credit_limits l
       where l.account_id = v_limit.account_id and l.subject = v_limit.subject and l.period = v_limit.period;
    end if;
    if v_limit.used >= v_limit.credits and v_limit.announced_for is distinct from v_limit.window_start then
      perform billing._announce_limit(v_limit.account_id, v_limit.subject, v_limit.period);
    end if;
  end loop;
  if v_needed is not null then
    perform billing._refuse_limit(v_tightest, v_needed);
  end if;
end $$;
