-- Why an account that is paused is: dispute (or inquiry, by the setting FREEZE_ON), or payment_failed. Internal.
create or replace function billing._pause_reason(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select case when exists (
      select from billing.payment_reversals r where r.account_id = p_account_id and r.is_open and billing._freezes(r))
    then 'dispute' else 'payment_failed' end;
$$;
