-- The account's purchases whose Checkout Session or PaymentIntent may still be paid. Callers: service.
create or replace function billing.open_checkouts(p_account_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._payment_json(p) order by p.created_at), '[]') from billing.payments p
   where p.account_id = p_account_id and p.purpose = 'purchase' and p.status in ('open', 'processing')
     and (p.stripe_checkout_session_id is not null or p.stripe_payment_intent_id is not null);
$$;
