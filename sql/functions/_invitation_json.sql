-- An invitation as it is answered: one whose time is up is expired, whatever its row says. Internal.
create or replace function billing._invitation_json(p_invitation billing.invitations)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_invitation.id, 'account_id', p_invitation.account_id, 'account_name', a.name,
      'email', p_invitation.email, 'role', p_invitation.role, 'invited_by', p_invitation.invited_by,
      'state', case when p_invitation.state = 'open' and p_invitation.expires_at <= now() then 'expired' else p_invitation.state end,
      'created_at', p_invitation.created_at, 'expires_at', p_invitation.expires_at)
    from billing.accounts a where a.id = p_invitation.account_id;
$$;
