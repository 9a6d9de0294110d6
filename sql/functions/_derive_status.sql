-- The account's status, from its causes and from nothing else: paused while a dispute freezes it (_freezes), or once grace is
-- over; grace while its automatic charges have stopped (dun_accounts); else active. Tells the account of a pause for failed
-- charges, once a grace. Call it whenever a cause has changed.
-- Internal: the caller holds the account's lock.
create or replace function billing._derive_status(p_account_id text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_frozen  boolean := exists (
    select from billing.payment_reversals r where r.account_id = p_account_id and r.is_open and billing._freezes(r));
  v_balance billing.credit_balances;
begin
  update billing.credit_balances
     set status = case when v_frozen or grace_until <= now() then 'paused' when grace_until is not null then 'grace'
                       else 'active' end::billing.account_status,
         overdraft = case when grace_until > now() then overdraft else 0 end
   where account_id = p_account_id
  returning * into v_balance;
  if v_balance.grace_until <= now() then
    perform billing._notify(p_account_id, 'account.paused', p_account_id || ':' || extract(epoch from v_balance.grace_until),
      jsonb_build_object('reason', 'payment_failed', 'grace_until', v_balance.grace_until));
  end if;
  perform billing._arm_topup(p_account_id);
end $$;
