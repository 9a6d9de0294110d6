-- The newest ledger entry of the account that took credits, if it is a spend that may still arm auto top-up (one after
-- p_spent_after), else null. Internal.
create or replace function billing._last_spend(p_account_id text, p_spent_after bigint)
  returns bigint
  language sql stable security definer set search_path = '' as $$
  select case when t.kind = 'usage' then t.id end
    from billing.credit_transactions t
   where t.account_id = p_account_id and t.id > p_spent_after and t.amount < 0
   order by t.id desc limit 1;
$$;
