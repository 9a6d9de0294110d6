-- Counts the lines of a batch that were booked against the limits of their departments, members and agents, by the time
-- they happened. Refuses nothing. Internal: the caller holds the locks of the accounts.
create or replace function billing._limit_usage(p_lines billing.usage_line[])
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_sums record;
begin
  select array_agg(s.account_id) as accounts, array_agg(s.subject) as subjects, array_agg(s.credits) as credits,
         array_agg(0::bigint) as held, array_agg(s.at) as times
    into v_sums
    from (select l.account_id, l.scope || ':' || l.scope_id as subject, sum(l.credits)::bigint as credits,
                 date_trunc('day', least(l.occurred_at, now()), 'UTC') as at
            from (select l.account_id, l.credits, l.occurred_at, w.scope, w.scope_id
                    from unnest(p_lines) l
                   cross join lateral (values ('department', l.event->>'department_id'), ('member', l.event->>'member_id'),
                     ('agent', l.event->>'agent')) w (scope, scope_id)
                   where l.code is null and w.scope_id is not null) l
           group by 1, 2, 4) s
    join billing.credit_balances b on b.account_id = s.account_id and b.limited;
  if v_sums.accounts is not null then
    perform billing._count_limits(v_sums.accounts, v_sums.subjects, v_sums.credits, v_sums.held, v_sums.times, false);
  end if;
end $$;
