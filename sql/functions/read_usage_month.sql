-- A page of a month's usage rows, complete, in the order of account and id, from after p_after {account_id, id} on; next is
-- where the following page starts, null after the last. Callers: service.
-- Raises RF008 invalid_value, RF009 not_found, RF010 state_conflict (the month is not over yet).
create or replace function billing.read_usage_month(p_month date, p_after jsonb, p_limit integer)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_partition text := billing._usage_partition(p_month);
  v_rows      jsonb;
begin
  -- A page is one range of the primary key, wherever in the month it lies.
  execute format('select coalesce(jsonb_agg(to_jsonb(u) order by u.account_id, u.id), ''[]'')
    from (select * from billing.%I where (account_id, id) > ($1, $2) order by account_id, id limit $3) u', v_partition)
     into v_rows using coalesce(p_after->>'account_id', ''), coalesce((p_after->>'id')::bigint, 0), p_limit;
  return jsonb_build_object('rows', v_rows, 'next', case when jsonb_array_length(v_rows) = p_limit
    then jsonb_build_object('account_id', v_rows->-1->'account_id', 'id', v_rows->-1->'id') end);
end $$;
