-- After available credits have moved down: notes that the account reached its top-up threshold (<=) or its next low-balance
-- level (<=), once per crossing. Of several levels that one debit passed the lowest is announced, and the next one below it
-- is waited for.
-- p_cause: the spend that moved them, entry, hold:ID or refused:ID; a spend arms auto top-up. null: a refund, a dispute, an
-- expiry, an adjustment. It disarms auto top-up until the next spend, since nobody asked for credits: also when the account is
-- above the threshold, or when a threshold is set later.
-- Internal: the caller holds the account's lock. Answers whether a top-up check became due in this transaction.
create or replace function billing._mark_crossings(p_account_id text, p_cause text)
  returns boolean
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance   billing.credit_balances;
  v_available bigint;
  v_reached   boolean; -- the threshold
  v_due       boolean;
  v_caused    boolean;
  v_disarms   boolean := p_cause is null;
  v_low       boolean;
  v_level     bigint;
  v_highest   bigint;
  v_entry     bigint;
begin
  select * into strict v_balance from billing.credit_balances where account_id = p_account_id;
  v_available := v_balance.balance - v_balance.held;
  v_reached := coalesce(v_available <= v_balance.topup_trigger, false);
  v_due := v_reached and p_cause is not null and v_balance.topup_due_at is null;
  v_caused := v_reached and p_cause is not null and v_balance.topup_cause is null;
  v_low := v_available <= v_balance.low_threshold;
  if not (v_due or v_caused or v_disarms or v_low) then
    return coalesce(v_balance.topup_due_at = now(), false);
  end if;
  if v_low then
    select min(l) filter (where v_available <= l), max(l) into v_level, v_highest
      from billing.accounts a cross join unnest(a.low_levels) l where a.id = p_account_id;
  end if;
  if v_caused or v_disarms then
    v_entry := billing._newest_entry(p_account_id);
  end if;
  update billing.credit_balances
     set topup_due_at = case when v_due then now() when v_disarms and topup_due_at < 'infinity' then null else topup_due_at end,
         topup_cause = case when v_caused then case p_cause when 'entry' then 'entry:' || v_entry else p_cause end
                            when v_disarms then null else topup_cause end,
         topup_cause_entry = case when v_caused then v_entry when v_disarms then null else topup_cause_entry end,
         topup_spent_after = case when v_disarms then v_entry else topup_spent_after end,
         low_since = case when v_low then coalesce(low_since, now()) else low_since end,
         low_threshold = case when v_low then billing._next_low_level(p_account_id, v_level) else low_threshold end
   where account_id = p_account_id
  returning topup_due_at into v_balance.topup_due_at;
  if v_level is not null and (v_balance.low_since is null or v_level < v_highest) then
    perform billing._notify(p_account_id, 'balance.low', concat_ws(':', p_account_id, v_level, extract(epoch from now())),
      jsonb_build_object('available', v_available, 'level', v_level, 'auto_topup', v_balance.topup_trigger is not null));
  end if;
  return coalesce(v_balance.topup_due_at = now(), false);
end $$;
