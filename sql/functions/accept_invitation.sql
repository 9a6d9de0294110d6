-- Makes a person a member by an invitation, once; answers the invitation. Whoever holds its link may accept it, with whatever
-- address they sign in: the link was mailed, and an address in a token proves no mailbox. A repeat by the same person answers
-- the same. Callers: service, which has read the signed link. Raises RF001 unknown_account, RF009 not_found, RF010
-- state_conflict (not open any more; or a member already, who uses nothing up and keeps the role).
create or replace function billing.accept_invitation(p_account_id text, p_id text, p_user_id uuid, p_email text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_invitation billing.invitations;
  v_is_member  boolean;
begin
  perform billing._lock_account(p_account_id);
  select * into v_invitation from billing.invitations where account_id = p_account_id and id = p_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such invitation.';
  end if;
  v_is_member := exists (select from billing.account_members where account_id = p_account_id and user_id = p_user_id);
  if v_is_member and v_invitation.accepted_by = p_user_id then
    return billing._invitation_json(v_invitation);
  end if;
  if v_invitation.state <> 'open' or v_invitation.expires_at <= now() then
    raise exception using errcode = 'RF010', message = 'This invitation is not open any more.';
  end if;
  if v_is_member then
    raise exception using errcode = 'RF010', message = 'You are a member of this account already.';
  end if;
  update billing.invitations set state = 'accepted', accepted_by = p_user_id, email = null where id = p_id
  returning * into v_invitation;
  insert into billing.account_members (account_id, user_id, role, email)
  values (p_account_id, p_user_id, v_invitation.role, p_email);
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (p_account_id, 'member:' || p_user_id, 'member.joined', p_user_id::text,
          jsonb_build_object('role', v_invitation.role, 'invitation', p_id, 'invited_by', v_invitation.invited_by));
  return billing._invitation_json(v_invitation);
end $$;
