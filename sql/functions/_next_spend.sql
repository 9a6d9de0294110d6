-- next_spend when the account is at or below its top-up threshold and only a spend is missing for a charge, else null.
-- Internal.
create or replace function billing._next_spend(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select 'next_spend' from billing.credit_balances b join billing.auto_topup_settings s using (account_id)
   where b.account_id = p_account_id and s.enabled and s.paused_reason is null and b.balance - b.held <= s.threshold
     and b.topup_cause is null and b.topup_due_at is null;
$$;
