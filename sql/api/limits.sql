-- Limits with what is used of them in the window of now, as list_limits() answers.
create or replace view api.limits with (security_invoker = true) as
select l.account_id, l.scope, l.scope_id, l.period as "window", trim_scale(l.credits * 0.000001) as credits, l.hard,
       trim_scale(u.used * 0.000001) as used, trim_scale(l.held * 0.000001) as held,
       trim_scale(greatest(0, l.credits - u.used - l.held) * 0.000001) as "left", w.start as window_started_at,
       (w.start at time zone 'UTC' + ('1 ' || l.period)::interval) at time zone 'UTC' as resets_at
  from billing.credit_limits l
 cross join lateral (select date_trunc(l.period, now(), 'UTC') as start) w
 cross join lateral (select case when l.window_start >= w.start then l.used else 0 end as used) u;
