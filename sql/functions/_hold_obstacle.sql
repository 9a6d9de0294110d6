-- Why the guarded update of a hold without parent found no row: answers a replay, raises the refusal, or removes the
-- obstacle and answers null, so that the caller tries again. Internal. Locks the account. Raises as place_hold.
create or replace function billing._hold_obstacle(
  p_account_id text, p_hold jsonb, p_fingerprint uuid, p_price billing.price)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_answer  jsonb := billing._hold_replay(p_account_id, p_hold->>'id', p_fingerprint);
begin
  if v_answer is null then
    perform billing._require_hold(p_hold, p_price);
    perform billing._balance_obstacle(v_balance, p_price.credits);
  end if;
  return v_answer;
end $$;
