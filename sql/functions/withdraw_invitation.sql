-- Withdraws an open invitation, so that its link is worth nothing; answers it. One that is withdrawn or expired stays as it is.
-- Callers: service. Idempotent. Raises RF001 unknown_account, RF009 not_found, RF010 state_conflict (it was accepted).
create or replace function billing.withdraw_invitation(p_account_id text, p_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_invitation billing.invitations;
begin
  perform billing._lock_account(p_account_id);
  perform billing._withdraw_invitations(p_account_id, p_id, null, p_actor);
  select * into v_invitation from billing.invitations where account_id = p_account_id and id = p_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such invitation.';
  end if;
  if v_invitation.state = 'accepted' then
    raise exception using errcode = 'RF010', message = 'This invitation was accepted already. Remove the member instead.';
  end if;
  return billing._invitation_json(v_invitation);
end $$;
