-- Where a notice is mailed to: the address that an invitation names, while it is open; the one that the notice itself is for;
-- else the account's. Null: nobody. Internal.
create or replace function billing._notice_address(p_notice billing.outbox, p_account_email text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select case p_notice.topic
    when 'member.invited' then (
      select email from billing.invitations
       where id = p_notice.payload->>'invitation_id' and state = 'open' and expires_at > now())
    when 'account.email_changed' then p_notice.payload->>'to'
    else p_account_email end;
$$;
