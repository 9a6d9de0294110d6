-- Makes a user a member of the account, or gives a member another role; answers the members. Who is no owner any more has
-- their open invitations withdrawn. Idempotent.
-- Callers: service. Raises RF001 unknown_account, RF008 invalid_value (unknown role), RF010 state_conflict (last owner).
create or replace function billing.set_member(p_account_id text, p_user_id uuid, p_role text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  if p_role <> 'owner' then
    perform billing._require_other_owner(p_account_id, p_user_id);
  end if;
  insert into billing.account_members as m (account_id, user_id, role) values (p_account_id, p_user_id, p_role)
  on conflict (account_id, user_id) do update set role = excluded.role where m.role <> excluded.role;
  if found then
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (p_account_id, p_actor, 'member.set', p_user_id::text, jsonb_build_object('role', p_role));
    if p_role <> 'owner' then
      perform billing._withdraw_invitations(p_account_id, null, 'member:' || p_user_id, p_actor);
    end if;
  end if;
  return billing.list_members(p_account_id);
end $$;
