-- Invites whoever reads the mail at an address to become a member within seven days, and mails the link; answers the
-- invitation. The address stands in its row alone, not in the notice nor in the audit log, which nothing is taken out of.
-- Callers: service. Idempotent by p_id. Raises RF001 unknown_account, RF008 invalid_value (role, address), RF010
-- state_conflict (a member, or an open invitation, has the address; 50 are open; 100 were made within a day).
create or replace function billing.invite_member(p_id text, p_account_id text, p_email text, p_role text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_invitation billing.invitations;
  v_complaint  text;
begin
  perform billing._lock_account(p_account_id);
  select * into v_invitation from billing.invitations where id = p_id and account_id = p_account_id;
  if found then
    return billing._invitation_json(v_invitation);
  end if;
  select case
      when exists (select from billing.account_members where account_id = p_account_id and lower(email) = lower(p_email))
        then p_email || ' is a member of this account already.'
      when bool_or(state = 'open' and expires_at > now() and lower(email) = lower(p_email))
        then 'An invitation to ' || p_email || ' is open already. Withdraw it to send another one.'
      when count(*) filter (where state = 'open' and expires_at > now()) >= 50
        then 'Fifty invitations are open. Withdraw some of them first.'
      when count(*) filter (where created_at > now() - interval '1 day') >= 100
        then 'A hundred invitations were sent within a day. Send more of them tomorrow.' end
    into v_complaint
    from billing.invitations where account_id = p_account_id;
  if v_complaint is not null then
    raise exception using errcode = 'RF010', message = v_complaint;
  end if;
  insert into billing.invitations (id, account_id, email, role, invited_by)
  values (p_id, p_account_id, p_email, p_role, p_actor) returning * into v_invitation;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (p_account_id, p_actor, 'invitation.sent', p_id, jsonb_build_object('role', p_role));
  perform billing._notify(p_account_id, 'member.invited', p_id, jsonb_build_object('invitation_id', p_id, 'role', p_role));
  return billing._invitation_json(v_invitation);
end $$;
