-- The one grant path. Compares what Stripe says was paid with our own row and grants what the row says, once, for ever;
-- a difference parks the payment for an operator. What an operator has closed is never granted: of the same PaymentIntent
-- nothing more is told (closed), another one is announced. Closes the payment's top-up; a purchase re-arms a paused auto top-up.
-- Callers: service. Idempotent by payment. Answers an outcome and raises nothing, since a difference must stay recorded.
create or replace function billing.settle_payment(p_payment_id text, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
  v_reason  text;
  v_due     boolean;
begin
  select * into v_payment from billing.payments where id = p_payment_id;
  if not found then
    return jsonb_build_object('outcome', 'parked', 'reason', 'unknown_payment', 'topup_due', false);
  end if;
  perform billing._lock_account(v_payment.account_id);
  select * into v_payment from billing.payments where id = p_payment_id for update;
  v_reason := billing._settlement_complaint(v_payment, p_facts);
  if v_payment.closed_at is not null then
    if p_facts->>'payment_intent' is not distinct from v_payment.parked_facts->>'payment_intent' then
      return jsonb_build_object('outcome', 'closed', 'reason', null, 'account_id', v_payment.account_id, 'topup_due', false);
    end if;
    v_reason := 'payment_closed';
  end if;

  if v_payment.status = 'succeeded' and v_reason is null then
    return jsonb_build_object('outcome', 'already', 'reason', null, 'account_id', v_payment.account_id, 'topup_due', false);
  end if;
  if v_reason is not null then
    perform billing._park_payment(v_payment, v_reason, p_facts);
    return jsonb_build_object('outcome', 'parked', 'reason', v_reason, 'account_id', v_payment.account_id, 'topup_due', false);
  end if;

  update billing.payments
     set status = 'succeeded', reason = null, next_check_at = 'infinity',
         stripe_customer_id = p_facts->>'customer',
         stripe_payment_intent_id = coalesce(p_facts->>'payment_intent', stripe_payment_intent_id),
         stripe_checkout_session_id = coalesce(stripe_checkout_session_id, p_facts->>'checkout_session'),
         stripe_charge_id = p_facts->>'charge', receipt_url = p_facts->>'receipt_url',
         paid_at = coalesce(to_timestamp((p_facts->>'occurred_at')::double precision), now())
   where id = p_payment_id
  returning * into v_payment;
  v_payment := billing._take_off(v_payment, (p_facts->>'discount')::bigint);
  update billing.topups set state = 'succeeded', reason = null, ends_as = null, finished_at = now(), dead_at = now()
   where payment_id = p_payment_id;
  if v_payment.purpose = 'purchase' then
    perform billing._keep_card(v_payment.account_id, p_facts);
  end if;
  if v_payment.purpose = 'topup' then
    perform billing._heed_success(v_payment);
  end if;
  perform billing._post_grant(v_payment.account_id, v_payment.purpose::billing.lot_kind,
    (v_payment.purpose || 's')::billing.counter_account, v_payment.credits, 'payment', p_payment_id,
    coalesce(v_payment.net_amount, v_payment.amount), v_payment.currency, p_occurred_at => v_payment.paid_at);
  perform billing._apply_reversals(p_payment_id); -- of which Stripe told before the payment itself
  v_due := billing._arm_topup(v_payment.account_id);
  return jsonb_build_object('outcome', 'granted', 'reason', null, 'account_id', v_payment.account_id, 'topup_due', v_due);
end $$;
