-- The card for automatic charges, or null for none. Another card re-arms a paused auto top-up, unless a refund
-- paused it; none pauses it.
-- Callers: service. Idempotent. Raises RF001 unknown_account, RF009 not_found (no customer yet).
create or replace function billing.set_default_payment_method(
  p_account_id text, p_payment_method text, p_card jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_before billing.customers;
  v_due    boolean;
begin
  perform billing._lock_account(p_account_id);
  select * into v_before from billing.customers where account_id = p_account_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'The account has no Stripe customer yet.';
  end if;
  insert into billing.payment_methods
    (id, account_id, stripe_customer_id, brand, last4, exp_month, exp_year, fingerprint)
  select p_payment_method, p_account_id, v_before.stripe_customer_id, p_card->>'brand', p_card->>'last4',
         (p_card->>'exp_month')::integer, (p_card->>'exp_year')::integer, p_card->>'fingerprint'
   where p_payment_method is not null
  on conflict (id) do update set is_attached = true;
  update billing.customers
     set default_payment_method = p_payment_method, card = p_card, cards_version = cards_version + 1
   where account_id = p_account_id;
  if p_payment_method is null then
    update billing.auto_topup_settings set paused_reason = 'no_payment_method'
     where account_id = p_account_id and paused_reason is null;
  elsif v_before.default_payment_method is distinct from p_payment_method and not exists (
      select from billing.auto_topup_settings where account_id = p_account_id and paused_reason = 'refunded') then
    perform billing._resume_topups(p_account_id);
  end if;
  insert into billing.audit_log (account_id, actor, action, subject)
  values (p_account_id, p_actor, 'payment_method.default', p_payment_method);
  v_due := billing._arm_topup(p_account_id);
  return jsonb_build_object('topup_due', v_due);
end $$;
