-- Takes credits of a source back (p_credits > 0) or gives them back (< 0), as a refund or a dispute. Taking draws the
-- source's own lot first, then the others; the rest is debt. Giving back pays debt first and refills the own lot, which may
-- have ended: then what came back ends, too.
-- Internal: the caller holds the account's lock, has let lots expire, and has counted p_credits with the source, so the lot
-- has room.
create or replace function billing._take_back(p_account_id text, p_source_kind text, p_source_id text, p_kind text,
  p_counter_account billing.counter_account, p_credits bigint)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances;
  v_lot     billing.credit_lots;
  v_own     bigint;
  v_draws   billing.lot_draw[];
begin
  if p_credits = 0 then
    return;
  end if;
  v_balance := billing._lock_account(p_account_id);
  select * into strict v_lot from billing.credit_lots
   where account_id = p_account_id and source = p_source_kind || ':' || p_source_id;
  -- What leaves the lot, or what of the credits it gets back after debt.
  v_own := case when p_credits > 0 then least(v_lot.remaining, p_credits)
                else p_credits + least(-p_credits, greatest(0, -v_balance.balance)) end;
  update billing.credit_lots set remaining = remaining - v_own, is_open = remaining - v_own > 0
   where account_id = p_account_id and id = v_lot.id;
  v_draws := case when p_credits > 0
    then array_remove(array[case when v_own > 0 then row(v_lot.id, -v_own)::billing.lot_draw end], null)
      || billing._draw_lots(p_account_id, p_credits - v_own)
    else array[row(v_lot.id, -v_own)::billing.lot_draw] end;
  insert into billing.credit_transactions
    (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id)
  values (p_account_id, p_kind, p_counter_account, -p_credits, v_balance.balance - p_credits, v_draws, p_source_kind,
    p_source_id);
  update billing.credit_balances
     set balance = balance - p_credits,
         next_expiry_at = case when v_own < 0 then least(next_expiry_at, v_lot.expires_at) else next_expiry_at end
   where account_id = p_account_id;
  if p_credits < 0 then
    perform billing._rearm_low(p_account_id);
  else
    perform billing._mark_crossings(p_account_id, null);
  end if;
end $$;
