-- Notes that the bank asks for the card holder of a purchase: it stays payable for a day, and the account is told, once.
-- Callers: service. Idempotent; a finished payment, and one with a Checkout page of its own, stay as they are.
-- Raises RF009 not_found.
create or replace function billing.await_card_holder(p_payment_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  update billing.payments set action_required_at = now()
   where id = p_payment_id and purpose = 'purchase' and status in ('open', 'processing')
     and stripe_checkout_session_id is null and action_required_at is null
  returning * into v_payment;
  if found then
    perform billing._notify(v_payment.account_id, 'payment.action_required', p_payment_id, jsonb_build_object(
      'payment_id', p_payment_id, 'credits', v_payment.credits, 'amount', v_payment.amount, 'currency', v_payment.currency));
  else
    select * into v_payment from billing.payments where id = p_payment_id;
    if not found then
      raise exception using errcode = 'RF009', message = 'There is no such payment.';
    end if;
  end if;
  return billing._payment_json(v_payment);
end $$;
