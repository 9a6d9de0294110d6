-- After a debit: notes that the account reached its top-up threshold (<=) or its low-balance level (<=), once per crossing.
-- Internal: the caller holds the account's lock. Answers whether a top-up check became due in this transaction: by this
-- debit, or by an expiry that came with it.
create or replace function billing._mark_crossings(p_account_id text)
  returns boolean
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances;
  v_due     boolean;
  v_low     boolean;
begin
  select * into strict v_balance from billing.credit_balances where account_id = p_account_id;
  v_due := v_balance.topup_due_at is null
       and coalesce(v_balance.balance - v_balance.held <= v_balance.topup_trigger, false);
  v_low := v_balance.low_since is null
       and v_balance.balance - v_balance.held <= v_balance.low_threshold;
  if not (v_due or v_low) then
    return coalesce(v_balance.topup_due_at = now(), false);
  end if;
  update billing.credit_balances
     set topup_due_at = case when v_due then now() else topup_due_at end,
         low_since = case when v_low then now() else low_since end
   where account_id = p_account_id;
  if v_low then
    perform billing._notify(p_account_id, 'balance.low', p_account_id || ':' || extract(epoch from now()),
      jsonb_build_object('available', v_balance.balance - v_balance.held, 'level', v_balance.low_threshold,
        'auto_topup', v_balance.topup_trigger is not null));
  end if;
  return v_due or coalesce(v_balance.topup_due_at = now(), false);
end $$;
