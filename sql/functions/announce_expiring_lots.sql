-- Tells accounts of credits that expire p_days from today (UTC) or sooner and are still there, once an expiry: one notice
-- for the lots of an account that expire within the same day. Looks for p_limit such lots; answers how many
-- notices it wrote. Callers: service. Accounts that a movement holds right now are told by the next run.
create or replace function billing.announce_expiring_lots(p_days integer, p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  -- Whole days, so that the lots of one day are told of together.
  v_until   timestamptz := date_trunc('day', now() + make_interval(days => p_days), 'UTC') + interval '1 day';
  v_account text;
  v_day     record;
  v_told    integer := 0;
begin
  for v_account in
    with due as materialized (
      select account_id from billing.credit_lots
       where is_open and not expiry_announced and expires_at < 'infinity' and expires_at > now() and expires_at < v_until
       order by expires_at, account_id limit p_limit)
    select b.account_id from billing.credit_balances b
     where b.account_id in (select account_id from due)
     order by b.account_id for update skip locked
  loop
    for v_day in
      with told as (
        update billing.credit_lots set expiry_announced = true
         where account_id = v_account and is_open and not expiry_announced and expires_at > now() and expires_at < v_until
        returning id, remaining, expires_at)
      select min(id) as first_lot, min(expires_at) as expires_at, sum(remaining) as credits,
             jsonb_agg(jsonb_build_object('id', 'lot_' || id, 'remaining', remaining, 'expires_at', expires_at)
                       order by expires_at, id) as lots
        from told group by date_trunc('day', expires_at, 'UTC') order by 2
    loop
      perform billing._notify(v_account, 'lot.expiring',
        format('%s:%s:%s', v_account, v_day.first_lot, extract(epoch from v_day.expires_at)),
        jsonb_build_object('credits', v_day.credits, 'expires_at', v_day.expires_at, 'lots', v_day.lots));
      v_told := v_told + 1;
    end loop;
  end loop;
  return to_jsonb(v_told);
end $$;
