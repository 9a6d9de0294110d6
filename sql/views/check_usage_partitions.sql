-- The default partition of credit_usage is a safety net: rows in it say that a month was not created in time.
create or replace view billing.check_usage_partitions with (security_invoker = true) as
select account_id, id, created_at from billing.credit_usage_default;
