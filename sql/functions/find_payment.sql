-- A payment by its PaymentIntent or Checkout Session, or null. Callers: service.
create or replace function billing.find_payment(p_stripe_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._payment_json(p) from billing.payments p
   where p.stripe_payment_intent_id = p_stripe_id or p.stripe_checkout_session_id = p_stripe_id;
$$;
