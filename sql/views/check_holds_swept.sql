-- No hold keeps credits ten minutes after its time is up.
create or replace view billing.check_holds_swept with (security_invoker = true) as
select account_id, id as hold_id, remaining, expires_at from billing.credit_holds
 where state = 'open' and expires_at < now() - interval '10 minutes';
