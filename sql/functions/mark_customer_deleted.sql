-- Stripe deleted the customer: auto top-up goes off, the books stay. Callers: service. Idempotent.
-- Answers the account's id, or null when the customer is not ours.
create or replace function billing.mark_customer_deleted(p_stripe_customer_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
begin
  select account_id into v_account from billing.customers where stripe_customer_id = p_stripe_customer_id;
  if v_account is null then
    return null;
  end if;
  perform billing._lock_account(v_account);
  update billing.customers set deleted_at = coalesce(deleted_at, now()), default_payment_method = null, card = null
   where account_id = v_account;
  update billing.payment_methods set is_attached = false, updated_at = now() where account_id = v_account and is_attached;
  update billing.auto_topup_settings set enabled = false, paused_reason = 'customer_deleted', updated_at = now()
   where account_id = v_account and enabled;
  if found then
    insert into billing.auto_topup_consents (account_id, actor, enabled, settings)
    values (v_account, 'stripe', false, '{"reason": "customer_deleted"}');
    perform billing._notify(v_account, 'topup.paused', v_account || ':' || p_stripe_customer_id,
      '{"reason": "customer_deleted"}');
    perform billing._end_grace(v_account);
  end if;
  perform billing._arm_topup(v_account);
  return to_jsonb(v_account);
end $$;
