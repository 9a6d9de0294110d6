-- The card that a SetupIntent of ours has just saved, if it shall become the default: there is none that is still attached,
-- or the present one is why auto top-up is paused, and this is not the same card saved again. Decided once a card, so that an
-- event that comes again chooses nothing. Internal: the caller holds the account's lock.
create or replace function billing._offer_card(p_account_id text, p_added text)
  returns text
  language plpgsql volatile security definer set search_path = '' as $$
begin
  update billing.payment_methods set was_offered = true
   where id = p_added and account_id = p_account_id and is_attached and not was_offered;
  if not found then
    return null;
  end if;
  return (
    select p_added from billing.customers c
      left join billing.payment_methods m on m.id = c.default_payment_method and m.is_attached
      left join billing.auto_topup_settings s on s.account_id = c.account_id
     where c.account_id = p_account_id
       and (m.id is null or (billing._is_card_pause(s.paused_reason) and not billing._was_declined(p_account_id, p_added))));
end $$;
