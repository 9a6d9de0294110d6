-- Spends from the hold that the event names in hold_id: checked against the hold's budget and the limits, not against the
-- balance, which the hold has reserved. What the event does not name (agent, department_id, …) is the hold's.
-- Internal, for spend_credits. Locks the account.
-- Raises as spend_credits, and RF003 limit_reached (binding run, or whose limit), RF009 not_found, RF010 state_conflict.
create or replace function billing._spend_from_hold(p_account_id text, p_event jsonb, p_fingerprint uuid, p_credits bigint)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance  billing.credit_balances := billing._lock_account(p_account_id);
  v_event_id text := p_event->>'id';
  v_hold_id  text := p_event->>'hold_id';
  v_answer   jsonb := billing._spend_replay(p_account_id, v_event_id, p_fingerprint);
  v_event    jsonb;
  v_subjects text[];
  v_txn      bigint;
  v_delta    bigint;
  v_due      boolean := false;
begin
  if v_answer is not null then
    return v_answer;
  end if;
  if p_credits is null then
    perform billing._refuse_unpriced(p_event, billing._price_event(p_account_id, p_event, now()));
  elsif p_credits not between 1 and 1000000000000000 then
    perform billing._refuse_unpriced(p_event, row(p_credits, null)::billing.price);
  elsif length(coalesce(v_event_id, '')) not between 1 and 255 then
    raise exception using errcode = 'RF008', message = 'An event has an id of 1 to 255 characters.';
  elsif v_balance.status = 'paused' then
    perform billing._balance_obstacle(v_balance, p_credits);
  end if;
  if v_balance.next_expiry_at <= now() then
    perform billing._expire_account_lots(p_account_id);
  end if;
  v_txn := nextval('billing.credit_transactions_id_seq'); -- after the entries of what has expired
  perform billing._require_room(p_account_id, v_hold_id, p_credits);
  select billing._hold_attributes(h) || p_event into v_event
    from billing.credit_holds h where h.account_id = p_account_id and h.id = v_hold_id;

  insert into billing.credit_usage_keys (account_id, event_id, fingerprint, transaction_id, credits)
  values (p_account_id, v_event_id, p_fingerprint, v_txn, p_credits);
  v_subjects := billing._event_subjects(v_event);
  v_delta := billing._move_hold(p_account_id, v_hold_id, p_credits, 'open', v_balance.limited, v_subjects,
    array_fill(p_credits, array[cardinality(v_subjects)]), true);
  update billing.credit_balances set balance = balance - p_credits, held = held + v_delta
   where account_id = p_account_id returning * into v_balance;
  perform billing._post_debit(p_account_id, v_txn, p_credits, v_balance.balance, 'usage', v_event_id, now());
  perform billing._write_usage(p_account_id, v_txn, array[row(null, p_account_id, 1, v_event_id, null, p_credits,
    coalesce((p_event->>'quantity')::bigint, 1), now(), v_event, null)::billing.usage_line], v_hold_id);
  -- The hold reserved the credits before; but what disarmed auto top-up since then is over with this spend.
  if v_balance.balance - v_balance.held <= v_balance.topup_trigger and v_balance.topup_cause is null then
    v_due := billing._mark_crossings(p_account_id, 'entry');
  end if;
  return jsonb_build_object('transaction_id', v_txn, 'credits', p_credits,
    'available', greatest(0, v_balance.balance - v_balance.held + v_balance.overdraft), 'status', v_balance.status,
    'replayed', false, 'topup_due', v_due);
end $$;
