-- What was granted, and what remains of it; an expiry that never comes is null.
create or replace view api.lots with (security_invoker = true) as
select account_id, id, kind::text as kind, source, trim_scale(granted * 0.000001) as granted,
       trim_scale(remaining * 0.000001) as remaining, paid_amount, currency, priority,
       nullif(expires_at, 'infinity') as expires_at, created_at
  from billing.credit_lots;
