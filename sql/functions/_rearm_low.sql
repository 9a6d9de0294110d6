-- After credits came: levels below what is available now are announced anew when they are reached again. Internal: the caller
-- holds the account's lock. An account that was told nothing since it was above its highest level still has that one armed.
create or replace function billing._rearm_low(p_account_id text)
  returns void
  language sql volatile security definer set search_path = '' as $$
  update billing.credit_balances b
     set low_threshold = billing._next_low_level(p_account_id, b.balance - b.held),
         low_since = case when b.balance - b.held <= billing._next_low_level(p_account_id, 9223372036854775807)
                          then b.low_since end
   where b.account_id = p_account_id and b.low_since is not null;
$$;
