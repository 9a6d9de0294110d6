-- The invitation of an account, in whatever state, or null. Callers: service.
create or replace function billing.find_invitation(p_account_id text, p_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._invitation_json(i) from billing.invitations i where i.account_id = p_account_id and i.id = p_id;
$$;
