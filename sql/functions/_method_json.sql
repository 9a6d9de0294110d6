-- What is kept of a payment method, as customers.card holds it. Internal.
create or replace function billing._method_json(p_method billing.payment_methods)
  returns jsonb
  language sql immutable security definer set search_path = '' as $$
  select jsonb_build_object('brand', p_method.brand, 'last4', p_method.last4, 'exp_month', p_method.exp_month,
    'exp_year', p_method.exp_year, 'fingerprint', p_method.fingerprint);
$$;
