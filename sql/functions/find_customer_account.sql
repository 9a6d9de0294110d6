-- The account of a Stripe customer, also of one that was replaced after its deletion; null when it is not ours.
-- Callers: service.
create or replace function billing.find_customer_account(p_stripe_customer_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(coalesce(
    (select account_id from billing.customers where stripe_customer_id = p_stripe_customer_id),
    (select account_id from billing.subscriptions where stripe_customer_id = p_stripe_customer_id limit 1),
    (select account_id from billing.subscription_checkouts where stripe_customer_id = p_stripe_customer_id limit 1)));
$$;
