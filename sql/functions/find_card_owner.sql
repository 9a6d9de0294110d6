-- The account behind a Stripe customer or a payment method that it has or had, or null. Callers: service.
create or replace function billing.find_card_owner(p_stripe_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(
    (select to_jsonb(account_id) from billing.customers where stripe_customer_id = p_stripe_id),
    (select to_jsonb(account_id) from billing.payment_methods where id = p_stripe_id));
$$;
