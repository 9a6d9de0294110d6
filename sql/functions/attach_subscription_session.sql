-- Stores the Checkout Session of a subscription, unless the account has opened another since: then nobody is to pay this one.
-- Callers: service. Idempotent. Raises RF009 not_found, RF010 state_conflict (a newer checkout).
create or replace function billing.attach_subscription_session(p_id text, p_session_id text, p_url text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_checkout billing.subscription_checkouts;
begin
  select * into v_checkout from billing.subscription_checkouts where id = p_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such checkout.';
  end if;
  perform billing._lock_account(v_checkout.account_id);
  if exists (select from billing.subscription_checkouts
              where account_id = v_checkout.account_id and number > v_checkout.number) then
    raise exception using errcode = 'RF010', message = 'Another checkout of a subscription was opened since.';
  end if;
  update billing.subscription_checkouts set stripe_checkout_session_id = p_session_id, checkout_url = p_url where id = p_id
  returning * into v_checkout;
  return billing._subscription_checkout_json(v_checkout);
end $$;
