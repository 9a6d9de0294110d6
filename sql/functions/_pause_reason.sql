-- Why an account that is paused is: dispute, or payment_failed. Internal.
create or replace function billing._pause_reason(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select case when exists (select from billing.payment_reversals where account_id = p_account_id and is_open)
              then 'dispute' else 'payment_failed' end;
$$;
