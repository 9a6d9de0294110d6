-- Recomputes when the account's top-up is due, from its settings, its balance, its open charge and the spend that asks for
-- it: the only writer of credit_balances.topup_trigger, and of topup_due_at and topup_cause apart from the crossing itself
-- (_mark_crossings). Without a cause nothing is due: where none is noted, since auto top-up was off or the threshold was lower,
-- it is the last spend. Notes since when charges fail, too.
-- Internal: the caller holds the account's lock. Answers whether a check is due now.
create or replace function billing._arm_topup(p_account_id text)
  returns boolean
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_settings billing.auto_topup_settings;
  v_due_at   timestamptz;
  v_spend    bigint;
begin
  select * into v_settings from billing.auto_topup_settings where account_id = p_account_id;
  if not found then
    return false;
  end if;
  if v_settings.failing_since is null and (v_settings.declines > 0 or billing._is_card_pause(v_settings.paused_reason)) then
    update billing.auto_topup_settings set failing_since = now() where account_id = p_account_id;
  end if;
  select billing._last_spend(p_account_id, topup_spent_after) into v_spend from billing.credit_balances
   where account_id = p_account_id and v_settings.enabled and balance - held <= v_settings.threshold and topup_cause is null;
  update billing.credit_balances b
     set topup_trigger = case when v_settings.enabled then v_settings.threshold end,
         topup_due_at = case
           when not v_settings.enabled then null
           when v_settings.paused_reason is not null or billing._charge_stop(p_account_id) is not null or exists (
             select from billing.topups t where t.account_id = p_account_id and t.dead_at is null) then 'infinity'::timestamptz
           when b.balance - b.held > v_settings.threshold or coalesce(b.topup_cause, v_spend::text) is null then null
           else greatest(now(), coalesce(v_settings.next_attempt_at, '-infinity')) end,
         topup_cause = case when v_settings.enabled and b.balance - b.held <= v_settings.threshold then coalesce(b.topup_cause, 'entry:' || v_spend) end,
         topup_cause_entry = case when b.topup_cause is null then v_spend else b.topup_cause_entry end
   where b.account_id = p_account_id
  returning b.topup_due_at into v_due_at;
  return coalesce(v_due_at <= now(), false);
end $$;
