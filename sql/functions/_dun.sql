-- One account's turn of dun_accounts: starts its grace, ends it, or frees it; answers 1 when it changed something.
-- Internal: the caller holds the account's lock; what it chose the account by may have changed before.
create or replace function billing._dun(p_account_id text, p_hours integer, p_credits bigint)
  returns integer
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_until  timestamptz := (select grace_until from billing.credit_balances where account_id = p_account_id);
  v_reason text;
begin
  if p_hours is null or v_until <= now() then
    if p_hours is null then
      perform billing._end_grace(p_account_id);
    else
      perform billing._derive_status(p_account_id);
    end if;
    return (v_until is not null)::integer;
  end if;
  update billing.auto_topup_settings s set is_dunned = true
    from billing.credit_balances b
   where s.account_id = p_account_id and b.account_id = p_account_id and s.enabled and not s.is_dunned
     and billing._is_card_pause(s.paused_reason) and b.status = 'active'
  returning s.paused_reason into v_reason;
  if not found then
    return 0;
  end if;
  update billing.credit_balances set grace_until = now() + make_interval(hours => p_hours), overdraft = p_credits
   where account_id = p_account_id
  returning grace_until into v_until;
  perform billing._derive_status(p_account_id);
  perform billing._notify(p_account_id, 'account.grace', p_account_id || ':' || extract(epoch from v_until),
    jsonb_build_object('reason', v_reason, 'grace_until', v_until, 'credits', p_credits));
  return 1;
end $$;
