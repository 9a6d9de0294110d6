-- Micro-credits that the account uses a day: the mean of today and the six days before (UTC), since its first usage if that
-- is later, over at least 24 hours, so that one burst does not pass for a habit. null without usage in these days. Internal.
-- Every look at a balance asks for it, so it adds up sums of days, and of the events after them 2,000 at most. Where more
-- wait for roll_up_usage, the mean is that until the last one counted.
create or replace function billing._usage_pace(p_account_id text)
  returns numeric
  language plpgsql stable security definer set search_path = '' as $$
declare
  c_events constant integer := 2000;
  v_from   date := (now() at time zone 'UTC')::date - 6;
  v_since  timestamptz := v_from::timestamp at time zone 'UTC';
  v_until  timestamptz := now();
  v_first  date;
  v_rolled bigint;
  v_tail   record;
begin
  v_rolled := (select sum(r.credits) from billing.usage_rollups r
                where r.account_id = p_account_id and r.grain = 'action' and r.day >= v_from);
  select count(*) as events, max(u.created_at) as booked_at, min(u.day) as day, sum(u.credits) filter (where u.day >= v_from) as credits
    into v_tail
    from (select e.credits, e.created_at, (e.occurred_at at time zone 'UTC')::date as day from billing.credit_usage e
           where e.account_id = p_account_id
             and e.id > coalesce((select m.usage_id from billing.usage_rollup_marks m where m.account_id = p_account_id), 0)
           order by e.id limit c_events) u;
  if v_tail.events = c_events then
    v_until := v_tail.booked_at;
  end if;

  v_first := least(v_tail.day, (select r.day from billing.usage_rollups r
    where r.account_id = p_account_id and r.grain = 'action' order by r.day limit 1));
  if v_first >= v_from then
    -- It began within these days, by the end of the first one at the latest: what is booked first may have happened later.
    v_since := greatest(v_since, least((v_first + 1)::timestamp at time zone 'UTC',
      (select e.occurred_at from billing.credit_usage e where e.account_id = p_account_id order by e.id limit 1)));
  end if;
  return nullif(coalesce(v_rolled, 0) + coalesce(v_tail.credits, 0), 0)
    / greatest(extract(epoch from v_until - v_since) / 86400, 1);
end $$;
