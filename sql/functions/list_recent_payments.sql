-- The newest payments of all accounts, of one state if given: a status, or closed (parked, and an operator has decided). Parked
-- are those that wait for one. Each with the account's name. Callers: service.
create or replace function billing.list_recent_payments(p_state text, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._payment_json(p) || jsonb_build_object('account_name', a.name)
           order by p.created_at desc, p.id), '[]')
    from (select f.* from (values ('open'), ('processing'), ('succeeded'), ('failed'), ('canceled'), ('parked'), ('closed')) s (state)
          -- The newest of each state, by the index, instead of all there are.
          cross join lateral (
            select * from billing.payments
             where status = case s.state when 'closed' then 'parked' else s.state end
               and (status <> 'parked' or (closed_at is not null) = (s.state = 'closed'))
             order by created_at desc, id limit p_limit) f
          where p_state is null or s.state = p_state
          order by f.created_at desc, f.id limit p_limit) p
    join billing.accounts a on a.id = p.account_id;
$$;
