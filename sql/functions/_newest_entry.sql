-- The id of the account's newest ledger entry, or 0. Entries of an account get their ids under its lock, so they are in order.
-- Internal.
create or replace function billing._newest_entry(p_account_id text)
  returns bigint
  language sql stable security definer set search_path = '' as $$
  select coalesce(max(id), 0) from billing.credit_transactions where account_id = p_account_id;
$$;
