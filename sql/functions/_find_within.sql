-- What an id names within an account: a hold, or the ledger's entry of an event of usage, of an adjustment, or of txn_42.
-- Their keys begin with the account: an index without it would be one more write of every spend. Internal.
create or replace function billing._find_within(p_account_id text, p_key text)
  returns table (kind text, id text, account_id text, state text)
  language sql stable security definer set search_path = '' as $$
  select 'hold', h.id, h.account_id, h.state::text from billing.credit_holds h
   where h.account_id = p_account_id and h.id = p_key
  union
  select 'entry', k.transaction_id::text, k.account_id, 'usage' from billing.credit_usage_keys k
   where k.account_id = p_account_id and k.event_id = p_key
  union
  select 'entry', t.id::text, t.account_id, t.kind from billing.credit_transactions t
   where t.account_id = p_account_id and t.source_kind = 'adjustment' and t.source_id = p_key
  union
  select 'entry', t.id::text, t.account_id, t.kind from billing.credit_transactions t
   where t.account_id = p_account_id and t.id = case when p_key ~ '^txn_[0-9]{1,18}$' then substr(p_key, 5)::bigint end;
$$;
