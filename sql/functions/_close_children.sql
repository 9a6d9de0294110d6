-- Closes the open descendants of a hold, whose remainders go back to it. Internal: the caller holds the account's lock.
create or replace function billing._close_children(
  p_account_id text, p_hold_id text, p_state billing.hold_state, p_limited boolean)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_child text;
begin
  for v_child in
    select id from billing.credit_holds
     where account_id = p_account_id and parent_id = p_hold_id and state = 'open' order by id
  loop
    perform billing._close_children(p_account_id, v_child, p_state, p_limited);
    perform billing._move_hold(p_account_id, v_child, 0, p_state, p_limited);
  end loop;
end $$;
