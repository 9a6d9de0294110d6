-- Locks the account's balance row, the first lock of every movement, and answers it.
-- Internal. Raises RF001 unknown_account.
create or replace function billing._lock_account(p_account_id text)
  returns billing.credit_balances
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances;
begin
  select * into v_balance from billing.credit_balances where account_id = p_account_id for update;
  if not found then
    raise exception using errcode = 'RF001', message = 'There is no such account.';
  end if;
  return v_balance;
end $$;
