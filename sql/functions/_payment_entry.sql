-- The ledger's entry in which a payment was granted, or null. The entries of an account stand in the order of their booking, so
-- a search by halves finds it without an index that every spend would have to write (as _usage_place). An entry has the
-- time at which its transaction began, which may have waited for the account's lock, for seconds: hence the minute.
-- Internal.
create or replace function billing._payment_entry(p_account_id text, p_payment_id text)
  returns bigint
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_since timestamptz := (select l.created_at - interval '1 minute' from billing.credit_lots l
                           where l.account_id = p_account_id and l.source = 'payment:' || p_payment_id);
  v_low   bigint := 0;
  v_high  bigint := (select max(t.id) from billing.credit_transactions t where t.account_id = p_account_id);
  v_row   record;
begin
  if v_since is null then
    return null;
  end if;
  while v_low < v_high loop
    select t.id, t.created_at into v_row from billing.credit_transactions t
     where t.account_id = p_account_id and t.id >= (v_low + v_high) / 2 order by t.id limit 1;
    if v_row.created_at >= v_since then
      v_high := (v_low + v_high) / 2;
    else
      v_low := v_row.id + 1;
    end if;
  end loop;
  return (select t.id from billing.credit_transactions t
           where t.account_id = p_account_id and t.id >= v_high and t.source_kind = 'payment' and t.source_id = p_payment_id
           order by t.id limit 1);
end $$;
