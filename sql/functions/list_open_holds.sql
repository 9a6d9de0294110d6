-- Open holds of all accounts, those that end first at the top, up to p_limit, each with the account's name and whether its time is
-- up (overdue). Callers: service.
create or replace function billing.list_open_holds(p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._hold_json(h.account_id, h.id)
             || jsonb_build_object('account_name', a.name, 'overdue', h.expires_at <= now())
           order by h.expires_at, h.account_id, h.id), '[]')
    from (select * from billing.credit_holds where state = 'open' order by expires_at, account_id, id limit p_limit) h
    join billing.accounts a on a.id = h.account_id;
$$;
