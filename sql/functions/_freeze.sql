-- Makes the account's status follow its disputes: while one is open nothing is spent, held or charged automatically.
-- Internal: the caller holds the account's lock.
create or replace function billing._freeze(p_account_id text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_open boolean := exists (select from billing.payment_reversals where account_id = p_account_id and is_open);
begin
  update billing.credit_balances
     set status = case when v_open then 'paused' else 'active' end::billing.account_status
   where account_id = p_account_id and (status = 'paused') <> v_open
     and exists (select from billing.payment_reversals where account_id = p_account_id and kind = 'dispute');
  perform billing._arm_topup(p_account_id);
end $$;
