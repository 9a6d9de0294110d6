-- The accounts of a user with the user's role in each, by name. Callers: service.
create or replace function billing.list_memberships(p_user_id uuid)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('account_id', a.id, 'name', a.name, 'email', a.email,
      'email_refused', a.email_refused, 'role', m.role) order by a.name, a.id), '[]')
    from billing.account_members m join billing.accounts a on a.id = m.account_id
   where m.user_id = p_user_id;
$$;
