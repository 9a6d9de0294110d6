-- The accounts that the signed-in user is a member of.
create or replace view api.accounts with (security_invoker = true) as
select id, name, created_at from billing.accounts;
