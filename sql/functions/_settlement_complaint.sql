-- Why what Stripe says was paid does not fit our payments row, or null when it fits. An order that takes promotion codes fits
-- when what Stripe took off and what it received come to what was ordered. Internal. Changes nothing.
create or replace function billing._settlement_complaint(p_payment billing.payments, p_facts jsonb)
  returns text
  language sql stable security definer set search_path = '' as $$
  select case
    when p_facts->>'customer' is distinct from p_payment.stripe_customer_id then 'customer_mismatch'
    when p_payment.stripe_payment_intent_id is not null and p_facts->>'payment_intent' is not null
     and p_facts->>'payment_intent' <> p_payment.stripe_payment_intent_id then 'payment_intent_mismatch'
    when exists (select from billing.payments o where o.stripe_payment_intent_id = p_facts->>'payment_intent'
                    and o.id <> p_payment.id) then 'payment_intent_of_another_payment'
    when p_facts->>'checkout_session' <> p_payment.stripe_checkout_session_id then 'checkout_session_mismatch'
    when exists (select from billing.payments o where o.stripe_checkout_session_id = p_facts->>'checkout_session'
                    and o.id <> p_payment.id) then 'checkout_session_of_another_payment'
    when p_facts->>'currency' is distinct from p_payment.currency then 'currency_mismatch'
    -- Facts without a discount are of the PaymentIntent alone: of what is settled they say again what was paid.
    when (p_facts->>'amount_received')::bigint is distinct from p_payment.amount + p_payment.discount
         - case when p_payment.allow_promotion_codes then coalesce((p_facts->>'discount')::bigint, p_payment.discount) else 0 end
      or p_payment.allow_promotion_codes and ((p_facts->>'discount')::bigint < 0
         or (p_facts->>'amount_total')::bigint <> (p_facts->>'amount_received')::bigint) then 'amount_mismatch' end;
$$;
