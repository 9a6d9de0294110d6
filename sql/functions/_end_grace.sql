-- Dunning is over for this stop: a new card, a purchase, a top-up that went through, a person's decision, or automatic
-- charges that were switched off. The account is active again, unless a dispute is open, and spends what it has paid for.
-- Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._end_grace(p_account_id text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  update billing.auto_topup_settings set is_dunned = false
   where account_id = p_account_id and is_dunned and (paused_reason is null or not enabled);
  update billing.credit_balances set grace_until = null where account_id = p_account_id and grace_until is not null;
  if found then
    perform billing._derive_status(p_account_id);
  end if;
end $$;
