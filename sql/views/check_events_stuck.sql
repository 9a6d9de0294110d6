-- Every accepted event is done, ignored, parked, or younger than ten minutes.
create or replace view billing.check_events_stuck with (security_invoker = true) as
select id, type, received_at, claims, reason from billing.stripe_events
 where state = 'received' and received_at < now() - interval '10 minutes';
