-- Whether the signed-in Supabase user (auth.uid()) is a member of the account; for row-level policies.
-- Callers: authenticated, service. Without a user there is no membership: the comparison is positive.
create or replace function billing.is_member(p_account_id text)
  returns boolean
  language sql stable security definer set search_path = '' as $$
  select exists (select from billing.account_members where account_id = p_account_id and user_id = auth.uid());
$$;
