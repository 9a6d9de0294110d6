-- What of the account the bank has not decided: dispute, inquiry when there is nothing worse, or null. Whether it freezes or
-- not, a card is not charged automatically meanwhile: its holder is asking for money back. Internal.
create or replace function billing._open_dispute(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select case when bool_or(not billing._is_inquiry(status)) then 'dispute' when count(*) > 0 then 'inquiry' end
    from billing.payment_reversals where account_id = p_account_id and is_open;
$$;
