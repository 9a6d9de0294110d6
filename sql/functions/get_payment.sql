-- A payment by its id, or null. Callers: service.
create or replace function billing.get_payment(p_payment_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._payment_json(p) from billing.payments p where p.id = p_payment_id;
$$;
