-- Writes the payment methods that Stripe lists for a customer, and marks those that it does not list as detached.
-- Answers whether the expiry or the number of p_default has changed: the bank renewed the card, or a person corrected it.
-- Internal: the caller holds the account's lock and has compared versions.
create or replace function billing._write_cards(p_account_id text, p_customer_id text, p_cards jsonb, p_default text)
  returns boolean
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_before billing.payment_methods;
begin
  select * into v_before from billing.payment_methods where id = p_default and account_id = p_account_id;
  update billing.payment_methods set is_attached = false, updated_at = now()
   where account_id = p_account_id and is_attached
     and id not in (select c->>'id' from jsonb_array_elements(p_cards) c);
  insert into billing.payment_methods as m
    (id, account_id, stripe_customer_id, brand, last4, exp_month, exp_year, fingerprint)
  select distinct on (c->>'id') c->>'id', p_account_id, p_customer_id, c->>'brand', c->>'last4',
         (c->>'exp_month')::integer, (c->>'exp_year')::integer, c->>'fingerprint'
    from jsonb_array_elements(p_cards) c
  on conflict (id) do update
    set is_attached = true, stripe_customer_id = excluded.stripe_customer_id, brand = excluded.brand, last4 = excluded.last4,
        exp_month = excluded.exp_month, exp_year = excluded.exp_year, fingerprint = excluded.fingerprint, updated_at = now(),
        expiry_announced = m.expiry_announced
          and (m.exp_month, m.exp_year) is not distinct from (excluded.exp_month, excluded.exp_year)
    where m.account_id = excluded.account_id;
  return v_before.exp_month is not null and exists (
    select from billing.payment_methods m
     where m.id = v_before.id and m.is_attached
       and (m.exp_month, m.exp_year, m.last4, m.fingerprint)
           is distinct from (v_before.exp_month, v_before.exp_year, v_before.last4, v_before.fingerprint));
end $$;
