-- Closes the account's holds whose time is up, up to a thousand trees of them; answers how many. Internal: locks the
-- account. A thousand take a fifth of a second; more at once would take ever longer, because all change one balance.
-- No hold outlives its parent, so closing the highest that is due closes its descendants.
create or replace function billing._expire_account_holds(p_account_id text)
  returns integer
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_hold  text;
  v_count integer := 0;
begin
  perform billing._lock_account(p_account_id);
  for v_hold in
    select h.id from billing.credit_holds h
      left join billing.credit_holds p on p.account_id = h.account_id and p.id = h.parent_id
     where h.account_id = p_account_id and h.state = 'open' and h.expires_at <= now()
       and (p.id is null or p.expires_at > now())
     order by h.expires_at, h.id limit 1000
  loop
    perform billing._close_hold(p_account_id, v_hold, 'expired');
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
