-- Reads every invariant view (billing.check_*) and answers those that list violations, with up to ten of them.
-- Callers: service.
create or replace function billing.check_invariants()
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_view   text;
  v_found  jsonb;
  v_answer jsonb := '[]';
begin
  for v_view in
    select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'billing' and c.relkind = 'v' and c.relname like 'check\_%' order by c.relname
  loop
    execute format('select jsonb_build_object(''invariant'', %L, ''violations'', count(*),
        ''examples'', coalesce(jsonb_agg(to_jsonb(v)) filter (where n <= 10), ''[]''))
      from (select *, row_number() over () as n from billing.%I) v', v_view, v_view) into v_found;
    if (v_found->>'violations')::bigint > 0 then
      v_answer := v_answer || v_found;
    end if;
  end loop;
  return v_answer;
end $$;
