-- The account's Stripe customer and default card, or null. Callers: service.
create or replace function billing.get_customer(p_account_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('stripe_customer_id', stripe_customer_id, 'default_payment_method', default_payment_method,
    'card', card, 'deleted', deleted_at is not null, 'cards_version', cards_version)
  from billing.customers where account_id = p_account_id;
$$;
