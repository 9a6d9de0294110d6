-- The account's newest consent to automatic charges. Internal.
create or replace function billing._consent_in_force(p_account_id text)
  returns billing.auto_topup_consents
  language sql stable security definer set search_path = '' as $$
  select * from billing.auto_topup_consents where account_id = p_account_id and enabled order by id desc limit 1;
$$;
