-- Ends a user's membership, and with it what is known of the person here, the mail address; answers the members that are left.
-- Invitations that the member sent are withdrawn. A user who is none is not there any more: a repeat is fine.
-- Callers: service. Idempotent. Raises RF001 unknown_account, RF010 state_conflict (last owner).
create or replace function billing.remove_member(p_account_id text, p_user_id uuid, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  perform billing._require_other_owner(p_account_id, p_user_id);
  delete from billing.account_members where account_id = p_account_id and user_id = p_user_id;
  if found then
    insert into billing.audit_log (account_id, actor, action, subject)
    values (p_account_id, p_actor, 'member.removed', p_user_id::text);
    perform billing._withdraw_invitations(p_account_id, null, 'member:' || p_user_id, p_actor);
  end if;
  return billing.list_members(p_account_id);
end $$;
