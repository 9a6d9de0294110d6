-- The account that a user means and the user's role there: the named one, or the user's only one. Null when the user is a
-- member of no such account; `several` when none is named and there is more than one. Callers: service.
create or replace function billing.find_membership(p_user_id uuid, p_account_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select case count(*)
           when 0 then null
           when 1 then jsonb_build_object('account_id', min(m.account_id), 'role', min(m.role), 'several', false)
           else jsonb_build_object('account_id', null, 'role', null, 'several', true)
         end
    from (select account_id, role from billing.account_members
           where user_id = p_user_id and (p_account_id is null or account_id = p_account_id) limit 2) m;
$$;
