-- Keeps the card of a purchase for automatic charges if it was saved for off-session use, and re-arms a paused auto top-up,
-- unless a refund paused it: that is a person's to lift.
-- The card becomes the default when there is none yet, or when the present one is why auto top-up is paused.
-- Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._keep_card(p_account_id text, p_facts jsonb)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if coalesce((p_facts->>'saved')::boolean, false) and p_facts->>'payment_method' is not null then
    insert into billing.payment_methods
      (id, account_id, stripe_customer_id, brand, last4, exp_month, exp_year, fingerprint)
    select p_facts->>'payment_method', p_account_id, c.stripe_customer_id, p_facts#>>'{card,brand}', p_facts#>>'{card,last4}',
           (p_facts#>>'{card,exp_month}')::integer, (p_facts#>>'{card,exp_year}')::integer, p_facts#>>'{card,fingerprint}'
      from billing.customers c where c.account_id = p_account_id and c.deleted_at is null
    on conflict (id) do nothing;
    -- A reading of Stripe that began before this is too old to be written (mirror_cards).
    update billing.customers set cards_version = cards_version + 1 where account_id = p_account_id;
    update billing.customers c
       set default_payment_method = p_facts->>'payment_method', card = p_facts->'card'
     where c.account_id = p_account_id and c.deleted_at is null
       and exists (select from billing.payment_methods m where m.id = p_facts->>'payment_method' and m.is_attached)
       and (c.default_payment_method is null or exists (
         select from billing.auto_topup_settings s where s.account_id = p_account_id and s.paused_reason is not null));
  end if;
  if not exists (select from billing.auto_topup_settings where account_id = p_account_id and paused_reason = 'refunded') then
    perform billing._resume_topups(p_account_id);
  end if;
end $$;
