-- The members of an account, the first one first. Callers: service. Raises RF001 unknown_account.
create or replace function billing.list_members(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select coalesce(jsonb_agg(jsonb_build_object('user_id', user_id, 'email', email, 'role', role, 'created_at', created_at)
                              order by created_at, user_id), '[]')
      from billing.account_members where account_id = p_account_id);
end $$;
