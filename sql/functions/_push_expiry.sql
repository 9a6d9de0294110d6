-- Lets a hold and its ancestors live until p_expires_at at least, none longer than a day from its placing, and no hold
-- longer than its parent. Internal: the caller holds the account's lock.
create or replace function billing._push_expiry(p_account_id text, p_hold_id text, p_expires_at timestamptz)
  returns void
  language sql volatile security definer set search_path = '' as $$
  with recursive chain as (
    select id, parent_id, created_at, depth from billing.credit_holds where account_id = p_account_id and id = p_hold_id
    union all
    select p.id, p.parent_id, p.created_at, p.depth
      from billing.credit_holds p join chain c on p.account_id = p_account_id and p.id = c.parent_id
  ), bounded as (
    select id, min(created_at + interval '24 hours') over (order by depth) as latest from chain
  )
  update billing.credit_holds h
     set expires_at = least(greatest(h.expires_at, p_expires_at), b.latest)
    from bounded b
   where h.account_id = p_account_id and h.id = b.id and h.state = 'open';
$$;
