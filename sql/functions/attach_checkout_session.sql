-- Stores the Checkout Session of a purchase; from a minute on the sweep asks Stripe for its outcome.
-- Callers: service. Idempotent. Raises RF009 not_found, RF010 state_conflict (it is to be
-- paid in the other way: a purchase that two ways could pay might be paid twice).
create or replace function billing.attach_checkout_session(p_payment_id text, p_session_id text, p_url text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  update billing.payments
     set stripe_checkout_session_id = p_session_id, checkout_url = p_url,
         -- A repeat that comes after the sweep gave the purchase up makes it payable again.
         status = case when status = 'canceled' and stripe_checkout_session_id is null then 'open' else status end,
         next_check_at = case when status in ('open', 'processing', 'canceled') then now() + interval '1 minute' else next_check_at end
   where id = p_payment_id and (stripe_checkout_session_id is not null or stripe_payment_intent_id is null)
  returning * into v_payment;
  if not found then
    if exists (select from billing.payments where id = p_payment_id) then
      raise exception using errcode = 'RF010', message = 'This purchase has a PaymentIntent already: it is paid there.';
    end if;
    raise exception using errcode = 'RF009', message = 'There is no such payment.';
  end if;
  return billing._payment_json(v_payment);
end $$;
