-- Stripe does not know the customer any more: deleted there, of the other mode or of another Stripe account. Its cards and the
-- default go, automatic charges pause for want of a card, and the next use makes a new customer. The books stay.
-- Callers: service. Idempotent. Answers the account's id, or null when no account has this customer now.
create or replace function billing.forget_customer(p_stripe_customer_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_default text;
begin
  select account_id into v_account from billing.customers
   where stripe_customer_id = p_stripe_customer_id and deleted_at is null;
  if v_account is null then
    return null;
  end if;
  perform billing._lock_account(v_account);
  select default_payment_method into v_default from billing.customers
   where stripe_customer_id = p_stripe_customer_id and deleted_at is null;
  if not found then
    return null;
  end if;
  update billing.customers
     set deleted_at = now(), default_payment_method = null, card = null, stripe_default = null, cards_version = cards_version + 1
   where account_id = v_account;
  update billing.payment_methods set is_attached = false, updated_at = now() where account_id = v_account and is_attached;
  insert into billing.audit_log (account_id, actor, action, subject)
  values (v_account, 'stripe', 'customer.forgotten', p_stripe_customer_id);
  perform billing._heed_card(v_account, v_default, null, false);
  perform billing._arm_topup(v_account);
  return to_jsonb(v_account);
end $$;
