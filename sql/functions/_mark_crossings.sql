-- After a debit: notes that the account reached its top-up threshold (<=) or its next low-balance level (<=), once per
-- crossing. Of several levels that one debit passed the lowest is announced, and the next one below it is waited for.
-- Internal: the caller holds the account's lock. Answers whether a top-up check became due in this transaction: by this
-- debit, or by an expiry that came with it.
create or replace function billing._mark_crossings(p_account_id text)
  returns boolean
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance   billing.credit_balances;
  v_available bigint;
  v_due       boolean;
  v_low       boolean;
  v_level     bigint;
  v_highest   bigint;
begin
  select * into strict v_balance from billing.credit_balances where account_id = p_account_id;
  v_available := v_balance.balance - v_balance.held;
  v_due := v_balance.topup_due_at is null and coalesce(v_available <= v_balance.topup_trigger, false);
  v_low := v_available <= v_balance.low_threshold;
  if not (v_due or v_low) then
    return coalesce(v_balance.topup_due_at = now(), false);
  end if;
  if v_low then
    select min(l) filter (where v_available <= l), max(l) into v_level, v_highest
      from billing.accounts a cross join unnest(a.low_levels) l where a.id = p_account_id;
  end if;
  update billing.credit_balances
     set topup_due_at = case when v_due then now() else topup_due_at end,
         low_since = case when v_low then coalesce(low_since, now()) else low_since end,
         low_threshold = case when v_low then billing._next_low_level(p_account_id, v_level) else low_threshold end
   where account_id = p_account_id;
  -- The version before went on pointing at the highest level when it had announced it.
  if v_level is not null and (v_balance.low_since is null or v_level < v_highest) then
    perform billing._notify(p_account_id, 'balance.low', concat_ws(':', p_account_id, v_level, extract(epoch from now())),
      jsonb_build_object('available', v_available, 'level', v_level, 'auto_topup', v_balance.topup_trigger is not null));
  end if;
  return v_due or coalesce(v_balance.topup_due_at = now(), false);
end $$;
