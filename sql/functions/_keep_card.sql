-- Keeps the card of a purchase for automatic charges if it was saved for off-session use, and re-arms a paused auto top-up.
-- The card becomes the default when there is none yet, or when the present one is why auto top-up is paused.
-- Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._keep_card(p_account_id text, p_facts jsonb)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if coalesce((p_facts->>'saved')::boolean, false) and p_facts->>'payment_method' is not null then
    update billing.customers c
       set default_payment_method = p_facts->>'payment_method', card = p_facts->'card'
     where c.account_id = p_account_id and c.deleted_at is null
       and (c.default_payment_method is null or exists (
         select from billing.auto_topup_settings s where s.account_id = p_account_id and s.paused_reason is not null));
  end if;
  perform billing._resume_topups(p_account_id);
end $$;
