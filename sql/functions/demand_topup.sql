-- Notes that a spend was refused for want of credits (p_event_id: its id) while the account is at or below its top-up
-- threshold: that asks for credits as a spend does, so auto top-up is armed. Without it an account with nothing left could
-- never be topped up. The refusal itself was rolled back, hence a call of its own.
-- Callers: service. Idempotent. Answers whether a check is due. Raises RF001 unknown_account.
create or replace function billing.demand_topup(p_account_id text, p_event_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  perform billing._mark_crossings(p_account_id, 'refused:' || p_event_id);
  return (select to_jsonb(coalesce(topup_due_at <= now(), false)) from billing.credit_balances
           where account_id = p_account_id);
end $$;
