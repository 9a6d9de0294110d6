-- The open invitations of an account, the newest first: 50 at most. Callers: service.
create or replace function billing.list_invitations(p_account_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._invitation_json(i) order by i.created_at desc, i.id), '[]')
    from billing.invitations i where i.account_id = p_account_id and i.state = 'open' and i.expires_at > now();
$$;
