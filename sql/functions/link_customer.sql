-- Binds the account to a Stripe customer, once, and answers the one that is bound. Callers: service.
-- Raises RF001 unknown_account, RF010 state_conflict (the customer belongs to another account).
create or replace function billing.link_customer(p_account_id text, p_stripe_customer_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  if exists (select from billing.customers
              where stripe_customer_id = p_stripe_customer_id and account_id <> p_account_id) then
    raise exception using errcode = 'RF010', message = 'This Stripe customer belongs to another account.';
  end if;
  -- A customer that was deleted in Stripe cannot pay again, so a new one takes its place.
  insert into billing.customers (account_id, stripe_customer_id) values (p_account_id, p_stripe_customer_id)
  on conflict (account_id) do update
    set stripe_customer_id = excluded.stripe_customer_id, default_payment_method = null, card = null, deleted_at = null,
        stripe_default = null, cards_version = customers.cards_version + 1
    where customers.deleted_at is not null;
  -- The name and address that were sent are Stripe's now; the attempt stays, so that no key is used again.
  update billing.customer_requests set is_done = true, name = '', email = null where account_id = p_account_id and not is_done;
  return (select to_jsonb(stripe_customer_id) from billing.customers where account_id = p_account_id);
end $$;
