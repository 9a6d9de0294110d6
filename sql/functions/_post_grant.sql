-- Grants credits as a lot of their own, once per source, for ever; a debt is paid from them first.
-- Internal. Locks the account. Answers the ledger row's id, or null when the source has granted before.
create or replace function billing._post_grant(
  p_account_id text, p_kind billing.lot_kind, p_counter_account billing.counter_account, p_credits bigint, p_source_kind text, p_source_id text,
  p_paid_amount bigint default 0, p_currency text default null, p_priority smallint default 100::smallint,
  p_expires_at timestamptz default 'infinity', p_occurred_at timestamptz default now())
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_debt    bigint := least(p_credits, greatest(0, -v_balance.balance));
  v_lot     bigint;
  v_txn     bigint;
begin
  insert into billing.credit_lots
    (account_id, kind, source, granted, remaining, is_open, paid_amount, is_paid, currency, priority, expires_at)
  values (p_account_id, p_kind, p_source_kind || ':' || p_source_id, p_credits, p_credits - v_debt,
    p_credits > v_debt, p_paid_amount, p_paid_amount > 0, p_currency, p_priority, p_expires_at)
  on conflict (account_id, source) do nothing
  returning id into v_lot;
  if v_lot is null then
    return null;
  end if;

  insert into billing.credit_transactions
    (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id, occurred_at)
  values (p_account_id, p_kind::text, p_counter_account, p_credits, v_balance.balance + p_credits,
    array[row(v_lot, p_credits)::billing.lot_draw]
      || case when v_debt > 0 then array[row(v_lot, -v_debt)::billing.lot_draw] else '{}' end,
    p_source_kind, p_source_id, p_occurred_at)
  returning id into v_txn;

  update billing.credit_balances
     set balance = balance + p_credits,
         next_expiry_at = case when p_credits > v_debt then least(next_expiry_at, p_expires_at) else next_expiry_at end
   where account_id = p_account_id;
  perform billing._rearm_low(p_account_id);
  perform billing._arm_topup(p_account_id);
  return v_txn;
end $$;
