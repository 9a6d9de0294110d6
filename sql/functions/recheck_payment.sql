-- An operator wants Stripe asked again what became of a payment: the check is due now, and goes the way of every other. It
-- may grant a parked payment, if what was paid fits the row meanwhile. Callers: service. Answers the payment.
-- Raises RF009 not_found, RF010 state_conflict (it is over, or closed).
create or replace function billing.recheck_payment(p_payment_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  update billing.payments set next_check_at = now()
   where id = p_payment_id and status in ('open', 'processing', 'parked') and closed_at is null
  returning * into v_payment;
  if not found and exists (select from billing.payments where id = p_payment_id) then
    raise exception using errcode = 'RF010', message = 'This payment is over: asking Stripe again would change nothing.';
  elsif not found then
    raise exception using errcode = 'RF009', message = 'There is no such payment.';
  end if;
  insert into billing.audit_log (account_id, actor, action, subject)
  values (v_payment.account_id, p_actor, 'payment.rechecked', p_payment_id);
  return billing._payment_json(v_payment);
end $$;
