-- Closes a hold and its descendants without a charge and gives back what they held. Internal: locks the account.
create or replace function billing._close_hold(p_account_id text, p_hold_id text, p_state billing.hold_state)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_delta   bigint;
begin
  perform billing._close_children(p_account_id, p_hold_id, p_state, v_balance.limited);
  v_delta := billing._move_hold(p_account_id, p_hold_id, 0, p_state, v_balance.limited);
  update billing.credit_balances set held = held + v_delta where account_id = p_account_id;
end $$;
