-- Writes the ledger row of a debit that the balance row has already taken, and draws the lots for it.
-- Internal: the caller holds the account's lock. p_balance is the balance after it.
-- As in spend_credits: what fits into the first lot of the burn order in one statement; _draw_lots does the others.
create or replace function billing._post_debit(
  p_account_id text, p_transaction_id bigint, p_credits bigint, p_balance bigint, p_source_kind text, p_source_id text,
  p_occurred_at timestamptz)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_lot bigint;
begin
  update billing.credit_lots l
     set remaining = l.remaining - p_credits, is_open = l.remaining > p_credits
   where l.remaining >= p_credits
     and l.ctid = (select f.ctid from billing.credit_lots f where f.account_id = p_account_id and f.is_open
                    order by f.priority, f.expires_at, f.is_paid, f.id limit 1)
  returning l.id into v_lot;
  insert into billing.credit_transactions
    (account_id, id, kind, counter_account, amount, balance_after, draws, source_kind, source_id, occurred_at)
  overriding system value
  values (p_account_id, p_transaction_id, 'usage', 'usage', -p_credits, p_balance,
    case when v_lot is null then billing._draw_lots(p_account_id, p_credits)
         else array[row(v_lot, -p_credits)::billing.lot_draw] end,
    p_source_kind, p_source_id, p_occurred_at);
end $$;
