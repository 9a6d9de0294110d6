-- The accounts in which the signed-in Supabase user (auth.uid()) has the role p_role or one above it: member, admin, owner.
-- For row-level policies, as `account_id = any ((select billing.my_accounts('member'))::text[])`: asked once a query, and
-- fit for an index. Callers: authenticated. Positive: no user, no membership or an unknown role are no accounts.
create or replace function billing.my_accounts(p_role text)
  returns text[]
  language sql stable security definer set search_path = '' as $$
  select coalesce(array_agg(account_id), '{}') from billing.account_members
   where user_id = auth.uid()
     and array_position(array['member', 'admin', 'owner'], role) >= array_position(array['member', 'admin', 'owner'], p_role);
$$;
