-- Brings the account's payment methods to what Stripe says of its customer now, and decides what that means for automatic
-- charges. A default that is gone pauses them; no other takes its place by itself. Another card, or a new expiry or number of
-- this one, re-arms what a card had paused. Nothing here switches on what is off.
-- p_version: of get_customer before Stripe was read; outcome stale: read both again. p_facts: cards [{id, brand, last4,
-- exp_month, exp_year, fingerprint}], default (Stripe's own), adopt (a person just chose it), added (by a SetupIntent of ours).
-- Callers: service. Idempotent. Raises RF001 unknown_account.
create or replace function billing.mirror_cards(
  p_account_id text, p_customer_id text, p_version bigint, p_facts jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_before  billing.customers;
  v_renewed boolean;
  v_stripe  text;
  v_offered text;
  v_default text;
begin
  perform billing._lock_account(p_account_id);
  select * into v_before from billing.customers
   where account_id = p_account_id and stripe_customer_id = p_customer_id and deleted_at is null and cards_version = p_version;
  if not found then
    return jsonb_build_object('outcome', 'stale', 'topup_due', false);
  end if;
  v_renewed := billing._write_cards(p_account_id, p_customer_id, p_facts->'cards', v_before.default_payment_method);
  select id into v_stripe from billing.payment_methods
   where id = p_facts->>'default' and account_id = p_account_id and is_attached;
  v_offered := billing._offer_card(p_account_id, p_facts->>'added');
  v_default := case
    when v_stripe <> coalesce(v_before.stripe_default, '') or coalesce((p_facts->>'adopt')::boolean, false) then v_stripe end;
  v_default := coalesce(v_default, v_offered,
    (select id from billing.payment_methods
      where id = v_before.default_payment_method and account_id = p_account_id and is_attached));
  update billing.customers
     set default_payment_method = v_default, stripe_default = v_stripe, cards_version = cards_version + 1,
         card = (select billing._method_json(m) from billing.payment_methods m where m.id = v_default)
   where account_id = p_account_id;
  if v_default is distinct from v_before.default_payment_method then
    insert into billing.audit_log (account_id, actor, action, subject)
    values (p_account_id, p_actor, 'payment_method.default', v_default);
  end if;
  perform billing._heed_card(p_account_id, v_before.default_payment_method, v_default, v_renewed);
  return jsonb_build_object('outcome', 'mirrored', 'topup_due', billing._arm_topup(p_account_id));
end $$;
