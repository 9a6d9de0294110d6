-- No lot keeps credits ten minutes after its expiry.
create or replace view billing.check_expiry_swept with (security_invoker = true) as
select account_id, id as lot_id, remaining, expires_at from billing.credit_lots
 where is_open and expires_at < now() - interval '10 minutes';
