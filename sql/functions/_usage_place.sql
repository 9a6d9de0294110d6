-- The id of the account's first usage row of a debit from p_transaction_id on, or one beyond the last; null for null. Both ids
-- rise together, because debits are booked under the account's lock, so a search by halves finds it without an index that
-- every spend would have to write. Internal.
create or replace function billing._usage_place(p_account_id text, p_transaction_id bigint)
  returns bigint
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_low  bigint := 0;
  v_high bigint := (select max(u.id) + 1 from billing.credit_usage u where u.account_id = p_account_id);
  v_row  record;
begin
  if p_transaction_id is null then
    return null;
  end if;
  while v_low < v_high loop
    select u.id, u.transaction_id into v_row from billing.credit_usage u
     where u.account_id = p_account_id and u.id >= (v_low + v_high) / 2 order by u.id limit 1;
    if v_row.transaction_id >= p_transaction_id then
      v_high := (v_low + v_high) / 2;
    else
      v_low := v_row.id + 1;
    end if;
  end loop;
  return v_high;
end $$;
