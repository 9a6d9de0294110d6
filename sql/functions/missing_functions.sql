-- Of names of functions in this schema, a json array, those that do not exist: the schema is of another version.
-- Callers: service.
create or replace function billing.missing_functions(p_names jsonb)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(n.name order by n.name), '[]') from jsonb_array_elements_text(p_names) as n (name)
   where not exists (select from pg_catalog.pg_proc p
                      where p.pronamespace = 'billing'::regnamespace and p.proname = n.name);
$$;
