-- Why the account is not charged automatically whatever its settings say: account_paused, dispute_open, inquiry_open; or null.
-- Every place that may begin a charge asks here. Internal.
create or replace function billing._charge_stop(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select case when b.status = 'paused' then 'account_paused' else billing._open_dispute(p_account_id) || '_open' end
    from billing.credit_balances b where b.account_id = p_account_id;
$$;
