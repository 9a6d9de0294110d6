-- Charges what a hold cost, also when that is more than was held or the hold has expired: the rest goes below zero, never
-- lost. p_settlement: amount (micro-credits) or usage (an array of events as in spend_credits, without ids); with neither
-- a final settlement charges what is left of the hold. final (default true) closes the hold and its children and returns
-- the rest; final false needs an id, and leaves it open; then reserve (micro-credits) holds that much more, and expires_in
-- extends it. What cannot be reserved is answered in refusal (sqlstate, message, detail); the charge stands.
-- Callers: service. Idempotent by hold (final) or by hold and id.
-- Raises RF001 unknown_account, RF005 idempotency_conflict, RF006 unknown_action, RF008 invalid_value, RF009 not_found,
-- RF010 state_conflict, RF016 unknown_model, RF017 unknown_dimension.
-- The plain kind, an open hold without parent and children that is settled by amount, takes as many statements as a spend.
create or replace function billing.settle_hold(p_account_id text, p_hold_id text, p_settlement jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_mark    uuid := md5(p_settlement::text)::uuid;
  v_credits bigint := (p_settlement->>'amount')::bigint;
  v_held    bigint;
  v_balance bigint;
  v_level   bigint;
  v_txn     bigint;
  v_due     boolean := false;
  v_left    bigint;
  v_status  billing.account_status;
  v_hold    record;
  v_lot     bigint;
begin
  if p_settlement ? 'usage' or p_settlement ? 'final' or v_credits is null or v_credits not between 1 and 1000000000000000 then
    return billing._settle_fully(p_account_id, p_hold_id, p_settlement, v_mark);
  end if;
  -- The account's row first, as everywhere. The hold is read beside it, so what was read is compared when it is closed.
  update billing.credit_balances b
     set balance = b.balance - v_credits, held = b.held - h.remaining
    from billing.credit_holds h
   where b.account_id = p_account_id and h.account_id = p_account_id and h.id = p_hold_id
     -- Nothing reserved or spent below: no child is open, not even one that has spent all of its own.
     and h.state = 'open' and h.parent_id is null and h.reserved = 0 and h.spent = h.settled
     and not b.limited and b.next_expiry_at > now()
  returning h.remaining, b.balance, b.balance - b.held + b.overdraft, b.status,
         greatest(b.topup_trigger, b.low_threshold) - (b.balance - b.held)
    into v_held, v_balance, v_left, v_status, v_level;
  if not found then
    return billing._settle_fully(p_account_id, p_hold_id, p_settlement, v_mark);
  end if;
  update billing.credit_holds h
     set state = 'settled', spent = h.spent + v_credits, settled = h.settled + v_credits, settlement = v_mark, closed_at = now()
   where h.account_id = p_account_id and h.id = p_hold_id and h.state = 'open' and h.reserved = 0 and h.remaining = v_held
     and h.spent = h.settled
  returning h.amount, h.settled, h.spent, h.action, h.quantity, h.agent, h.department_id, h.member_id, h.run_id, h.dimensions,
         h.metadata, h.expires_at, h.created_at
    into v_hold;
  if not found then
    raise exception using errcode = '40001', message = 'The hold was changed at the same time.';
  end if;

  v_txn := nextval('billing.credit_transactions_id_seq');
  -- As in _post_debit.
  update billing.credit_lots l
     set remaining = l.remaining - v_credits, is_open = l.remaining > v_credits
   where l.remaining >= v_credits
     and l.ctid = (select f.ctid from billing.credit_lots f where f.account_id = p_account_id and f.is_open
                    order by f.priority, f.expires_at, f.is_paid, f.id limit 1)
  returning l.id into v_lot;
  insert into billing.credit_transactions
    (account_id, id, kind, counter_account, amount, balance_after, draws, source_kind, source_id)
  overriding system value
  values (p_account_id, v_txn, 'usage', 'usage', -v_credits, v_balance,
    case when v_lot is null then billing._draw_lots(p_account_id, v_credits)
         else array[row(v_lot, -v_credits)::billing.lot_draw] end, 'hold', p_hold_id);
  insert into billing.credit_usage
    (account_id, event_id, transaction_id, action, quantity, credits, agent, department_id, member_id, run_id,
     dimensions, metadata, hold_id, occurred_at)
  values (p_account_id, p_hold_id, v_txn, v_hold.action, coalesce(v_hold.quantity, 1), v_credits, v_hold.agent,
    v_hold.department_id, v_hold.member_id, v_hold.run_id, v_hold.dimensions,
    coalesce(p_settlement->'metadata', v_hold.metadata), p_hold_id, now());
  if v_level >= 0 then
    v_due := billing._mark_crossings(p_account_id, 'entry');
  end if;
  -- As _hold_json, which would read the row again.
  return jsonb_build_object('id', p_hold_id, 'account_id', p_account_id, 'parent_id', null, 'state', 'settled',
    'amount', v_hold.amount, 'settled', v_hold.settled, 'spent', v_hold.spent, 'reserved', 0, 'remaining', 0,
    'action', v_hold.action, 'agent', v_hold.agent, 'department_id', v_hold.department_id, 'member_id', v_hold.member_id,
    'run_id', v_hold.run_id, 'expires_at', v_hold.expires_at, 'created_at', v_hold.created_at, 'closed_at', now(),
    'available', greatest(0, v_left), 'status', v_status, 'replayed', false, 'topup_due', v_due, 'refusal', null);
end $$;
