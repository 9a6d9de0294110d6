-- Lets what cycles before the newest renewal have left expire beyond the plan's rollover cap, the oldest first.
-- Internal: the caller holds the account's lock. Repeatable; renewals told in any order end in the same lots, because only
-- the cycles' own times count.
create or replace function billing._cap_rollover(p_account_id text, p_plan_id text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_cap     bigint;
  v_renewal timestamptz;
  v_balance bigint;
  v_lot     record;
begin
  select rollover_cap into v_cap from billing.subscription_plans where id = p_plan_id;
  select max(period_start) into v_renewal from billing.subscription_grants
   where account_id = p_account_id and plan_id = p_plan_id and is_renewal;
  if v_cap is null or v_renewal is null then
    return;
  end if;
  for v_lot in
    select * from (
      select l.id, l.remaining, -- of which this much is beyond the cap, counted from the newest
             least(l.remaining, sum(l.remaining) over (order by g.period_start desc, l.id desc) - v_cap)::bigint as beyond
        from billing.subscription_grants g
        join billing.credit_lots l on l.account_id = g.account_id and l.source = 'invoice_line:' || g.id
       where g.account_id = p_account_id and g.plan_id = p_plan_id and g.period_start < v_renewal and l.is_open) f
     where f.beyond > 0 order by f.id
  loop
    update billing.credit_lots set remaining = remaining - v_lot.beyond, is_open = remaining > v_lot.beyond
     where account_id = p_account_id and id = v_lot.id;
    update billing.credit_balances set balance = balance - v_lot.beyond where account_id = p_account_id
    returning balance into v_balance;
    insert into billing.credit_transactions
      (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id)
    values (p_account_id, 'expiry', 'expiry', -v_lot.beyond, v_balance,
      array[row(v_lot.id, -v_lot.beyond)::billing.lot_draw], 'lot', v_lot.id::text);
  end loop;
  perform billing._mark_crossings(p_account_id, null);
end $$;
