-- Replaces an account's personal data by a tombstone: name, address, members with theirs, their sessions, invitations, its
-- notice preferences, the former address in a notice that waits. Every entry stays, and automatic charges are switched off.
-- What stands at Stripe, and names of actors in the audit log and in consents, stay: they prove who paid and who agreed.
-- Answers the account.
-- Callers: service. Idempotent. Raises RF001 unknown_account, RF010 state_conflict (an open payment, or a subscription).
create or replace function billing.erase_account(p_account_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  if exists (select from billing.payments where account_id = p_account_id and status in ('open', 'processing')) then
    raise exception using errcode = 'RF010',
      message = 'A payment of this account is open. Wait until it has ended, or cancel it.';
  end if;
  if exists (select from billing.subscriptions
              where account_id = p_account_id and status not in ('canceled', 'incomplete_expired')) then
    raise exception using errcode = 'RF010',
      message = 'This account has a subscription, which would go on being billed. Cancel it at Stripe first.';
  end if;
  if exists (select from billing.auto_topup_settings where account_id = p_account_id and enabled) then
    perform billing.set_auto_topup(p_account_id, '{"enabled": false}', p_actor);
  end if;
  delete from billing.account_members where account_id = p_account_id;
  delete from billing.invitations where account_id = p_account_id;
  delete from billing.member_sessions where account_id = p_account_id;
  delete from billing.notice_preferences where account_id = p_account_id;
  update billing.outbox set payload = payload - 'to'
   where account_id = p_account_id and topic = 'account.email_changed' and payload ? 'to';
  update billing.customer_requests set name = '', email = null, is_done = true where account_id = p_account_id;
  update billing.accounts set name = 'Erased account', email = null
   where id = p_account_id and (name <> 'Erased account' or email is not null);
  if found then
    insert into billing.audit_log (account_id, actor, action, subject)
    values (p_account_id, p_actor, 'account.erased', p_account_id);
  end if;
  return billing.get_account(p_account_id);
end $$;
