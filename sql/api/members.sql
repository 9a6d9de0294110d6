-- Who is a member, with which role: owners see everybody of their accounts, others themselves.
create or replace view api.members with (security_invoker = true) as
select account_id, user_id, role, created_at from billing.account_members;
