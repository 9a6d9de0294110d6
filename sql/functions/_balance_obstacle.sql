-- Why the account's guarded update found no row for p_credits: raises the refusal, or removes the obstacle (expired lots,
-- holds whose time is up) and returns, so that the caller tries again.
-- Internal: the caller holds the account's lock. Raises RF002 insufficient_credits, RF004 account_paused.
create or replace function billing._balance_obstacle(p_balance billing.credit_balances, p_credits bigint)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_balance.next_expiry_at <= now() then
    perform billing._expire_account_lots(p_balance.account_id);
    return;
  end if;
  if p_balance.status = 'paused' then
    if billing._pause_reason(p_balance.account_id) = 'dispute' then
      raise exception using errcode = 'RF004', detail = '{"binding": "account", "reason": "dispute"}',
        message = 'This account is paused while a payment of it is disputed. Ask an administrator of the account.';
    end if;
    raise exception using errcode = 'RF004', detail = '{"binding": "account", "reason": "payment_failed"}',
      message = 'This account is paused because its automatic payments failed. An administrator of the account can add a card'
        ' or buy credits on the billing page.';
  end if;
  if p_balance.balance - p_balance.held + p_balance.overdraft >= p_credits then
    return; -- a grant came in between
  end if;
  if p_balance.held > 0 and billing._expire_account_holds(p_balance.account_id) > 0 then
    return;
  end if;
  raise exception using errcode = 'RF002',
    message = 'Not enough credits for this. Buy credits on the billing page, or ask an administrator of the account to.',
    detail = jsonb_build_object('binding', 'balance', 'needed', p_credits,
      'available', greatest(0, p_balance.balance - p_balance.held + p_balance.overdraft),
      'topup', billing._topup_state(p_balance.account_id))::text;
end $$;
