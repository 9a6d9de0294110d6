-- Closes the open descendants of a hold, whose remainders go back to it; and from it to the account, when they kept more
-- than the tree has left of its budget. Internal: the caller holds the account's lock.
create or replace function billing._close_children(
  p_account_id text, p_hold_id text, p_state billing.hold_state, p_limited boolean)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_child text;
  v_delta bigint;
begin
  for v_child in
    select id from billing.credit_holds
     where account_id = p_account_id and parent_id = p_hold_id and state = 'open' order by id
  loop
    perform billing._close_children(p_account_id, v_child, p_state, p_limited);
    v_delta := billing._move_hold(p_account_id, v_child, 0, p_state, p_limited);
    if v_delta <> 0 then
      update billing.credit_balances set held = held + v_delta where account_id = p_account_id;
    end if;
  end loop;
end $$;
