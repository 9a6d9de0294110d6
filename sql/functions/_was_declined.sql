-- Whether the payment method is the card that the account's last declined top-up was charged to, perhaps saved anew.
-- Internal.
create or replace function billing._was_declined(p_account_id text, p_method text)
  returns boolean
  language sql stable security definer set search_path = '' as $$
  select exists (
    select from (select payment_method from billing.topups
                  where account_id = p_account_id and state = 'declined' order by created_at desc limit 1) t
      left join billing.payment_methods old on old.id = t.payment_method
      left join billing.payment_methods new on new.id = p_method
     where t.payment_method = p_method or old.fingerprint = new.fingerprint);
$$;
