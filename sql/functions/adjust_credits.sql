-- An operator's correction, with a reason and a name; may be negative and may take the balance below zero.
-- Under the id of a payment it gives what the payment did not grant, and waits until the payment is closed: else it could be
-- granted besides. Callers: service. Idempotent by p_adjustment_id (other content: RF005 idempotency_conflict).
-- Raises RF001 unknown_account, RF008 invalid_value, RF010 state_conflict (of a payment that is not closed).
create or replace function billing.adjust_credits(
  p_adjustment_id text, p_account_id text, p_credits bigint, p_reason text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_txn     billing.credit_transactions;
begin
  if p_credits = 0 or abs(p_credits) > 1000000000000000 or length(coalesce(p_reason, '')) not between 1 and 500 then
    raise exception using errcode = 'RF008', message = 'An adjustment has an amount other than zero and a reason.';
  end if;
  select * into v_txn from billing.credit_transactions
   where account_id = p_account_id and source_kind = 'adjustment' and source_id = p_adjustment_id;
  if found and v_txn.amount <> p_credits then
    raise exception using errcode = 'RF005', message = 'This adjustment id was used before for another amount.';
  end if;
  if not found then
    if exists (select from billing.payments where id = p_adjustment_id and account_id = p_account_id
                  and closed_at is null) then
      raise exception using errcode = 'RF010',
        message = 'The payment of this id was granted, or may still be. A parked one is closed first.';
    end if;
    if v_balance.next_expiry_at <= now() then
      perform billing._expire_account_lots(p_account_id);
    end if;
    if p_credits > 0 then
      perform billing._post_grant(p_account_id, 'adjustment', 'adjustments', p_credits, 'adjustment', p_adjustment_id);
    else
      update billing.credit_balances set balance = balance + p_credits
       where account_id = p_account_id returning * into v_balance;
      insert into billing.credit_transactions
        (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id)
      values (p_account_id, 'adjustment', 'adjustments', p_credits, v_balance.balance,
        billing._draw_lots(p_account_id, -p_credits), 'adjustment', p_adjustment_id);
      perform billing._mark_crossings(p_account_id, null);
    end if;
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (p_account_id, p_actor, 'credits.adjusted', p_adjustment_id,
      jsonb_build_object('credits', p_credits, 'reason', p_reason));
    select * into v_txn from billing.credit_transactions
     where account_id = p_account_id and source_kind = 'adjustment' and source_id = p_adjustment_id;
  end if;
  return jsonb_build_object('adjustment_id', p_adjustment_id, 'transaction_id', v_txn.id, 'credits', p_credits,
    'balance', (select balance from billing.credit_balances where account_id = p_account_id),
    'topup_due', (select coalesce(topup_due_at <= now(), false) from billing.credit_balances where account_id = p_account_id));
end $$;
