-- Expires the holds of up to p_limit accounts whose time is up; answers how many accounts it touched.
-- Callers: service. Accounts that a movement holds right now wait for the next sweep.
create or replace function billing.expire_holds(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_count   integer := 0;
begin
  for v_account in
    select b.account_id from billing.credit_balances b
     where b.account_id in (select distinct d.account_id
                              from (select account_id from billing.credit_holds
                                     where state = 'open' and expires_at <= now() order by expires_at limit p_limit * 10) d
                             limit p_limit)
     order by b.account_id for update skip locked
  loop
    perform billing._expire_account_holds(v_account);
    v_count := v_count + 1;
  end loop;
  return to_jsonb(v_count);
end $$;
