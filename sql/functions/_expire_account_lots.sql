-- Takes what is left of the account's expired lots out of the wallet, one ledger row a lot.
-- Internal. Locks the account. Repeatable: a lot without a remainder is not open.
create or replace function billing._expire_account_lots(p_account_id text)
  returns integer
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_lot     record;
  v_count   integer := 0;
begin
  for v_lot in
    select id, remaining, expires_at from billing.credit_lots
     where account_id = p_account_id and is_open and expires_at <= now()
     order by id
  loop
    v_count := v_count + 1;
    v_balance.balance := v_balance.balance - v_lot.remaining;
    update billing.credit_lots set remaining = 0, is_open = false where account_id = p_account_id and id = v_lot.id;
    insert into billing.credit_transactions
      (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id, occurred_at)
    values (p_account_id, 'expiry', 'expiry', -v_lot.remaining, v_balance.balance,
      array[row(v_lot.id, -v_lot.remaining)::billing.lot_draw], 'lot', v_lot.id::text, v_lot.expires_at);
  end loop;
  update billing.credit_balances b
     set balance = v_balance.balance,
         next_expiry_at = coalesce((select min(l.expires_at) from billing.credit_lots l
                                     where l.account_id = p_account_id and l.is_open), 'infinity')
   where b.account_id = p_account_id;
  perform billing._mark_crossings(p_account_id, null);
  return v_count;
end $$;
