-- The months of credit_usage, oldest first: those that are kept, with what they hold now, and those that were dropped,
-- with what they held. Callers: service. Counts every row that is kept.
create or replace function billing.usage_months()
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_month  record;
  v_held   record;
  v_answer jsonb := '[]';
begin
  for v_month in
    select coalesce(k.month, x.month) as month, k.name, x.events, x.credits, x.exported_at, x.dropped_at
      from (select to_date(c.relname, '"credit_usage_"YYYY_MM') as month, c.relname as name
              from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
             where i.inhparent = 'billing.credit_usage'::regclass and c.relname ~ '^credit_usage_\d{4}_\d{2}$') k
      full join billing.usage_exports x on x.month = k.month
     order by 1
  loop
    if v_month.name is null then
      v_held := v_month;
    else
      execute format('select count(*) as events, coalesce(sum(credits), 0) as credits from billing.%I', v_month.name)
         into v_held;
    end if;
    v_answer := v_answer || jsonb_build_object('month', v_month.month, 'events', v_held.events, 'credits', v_held.credits,
      'exported_at', v_month.exported_at, 'dropped_at', v_month.dropped_at);
  end loop;
  return v_answer;
end $$;
