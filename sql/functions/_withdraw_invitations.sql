-- Withdraws the open invitations of an account: one of them, or all that somebody sent. Their addresses go. Internal.
create or replace function billing._withdraw_invitations(p_account_id text, p_id text, p_invited_by text, p_actor text)
  returns void
  language sql volatile security definer set search_path = '' as $$
  with withdrawn as (
    update billing.invitations set state = 'withdrawn', email = null
     where account_id = p_account_id and state = 'open' and (id = p_id or invited_by = p_invited_by) returning id)
  insert into billing.audit_log (account_id, actor, action, subject)
  select p_account_id, p_actor, 'invitation.withdrawn', id from withdrawn;
$$;
