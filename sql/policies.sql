-- Every grant and every row-level policy of Refill; nothing is granted elsewhere. Re-runnable, whatever was granted before.
--   anon            nothing
--   authenticated   (a signed-in Supabase user) reads the views of schema api: of accounts that the user is a member of, and
--                   the catalogue. They read with the rights of their reader, so it has also the columns that they use, and
--                   no other: no other column can be asked for, and Realtime publishes no other. Writes nothing
--   service_role    (the backend over PostgREST) executes the functions; touches no table, so that no client key, however
--                   privileged, can write money past them
-- Functions whose name begins with an underscore are parts of others, and nobody's to call.
-- Cascade: what somebody passed on goes with what it came from.

revoke all on schema billing from public, anon, authenticated, service_role cascade;
revoke create on schema api from public, anon, authenticated, service_role cascade;
-- Realtime looks the table up as the subscriber; tables and functions have rights of their own.
grant usage on schema billing to authenticated, service_role;
grant usage on schema api to authenticated;
revoke all on all tables in schema billing from public, anon, authenticated, service_role cascade;
revoke all on all sequences in schema billing from public, anon, authenticated, service_role cascade;
alter default privileges in schema billing revoke all on tables from public, anon, authenticated, service_role;
alter default privileges in schema billing revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges in schema billing revoke all on functions from public, anon, authenticated, service_role;

do $$
declare
  v_table    text;
  v_function record;
begin
  for v_table in
    select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'billing' and c.relkind in ('r', 'p')
  loop
    execute format('alter table billing.%I enable row level security', v_table);
  end loop;

  for v_function in
    select p.proname, p.oid::regprocedure as signature
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = 'billing'
  loop
    execute format('revoke all on routine %s from public, anon, authenticated, service_role cascade', v_function.signature);
    if v_function.proname not like '\_%' and v_function.proname not in ('refuse_change', 'my_accounts') then
      execute format('grant execute on function %s to service_role', v_function.signature);
    end if;
  end loop;
end $$;
grant execute on function billing.my_accounts(text) to authenticated;

-- The views of schema api that are Refill's; a project may have others there. Their readers get the columns behind them.
do $$
declare
  v_view   text;
  v_column record;
begin
  foreach v_view in array array['accounts', 'actions', 'auto_topup', 'balance', 'holds', 'invoices', 'limits', 'lots',
    'members', 'packages', 'payment_methods', 'payments', 'plans', 'subscription', 'topups', 'transactions', 'usage',
    'usage_daily']
  loop
    execute format('revoke all on api.%I from public, anon, authenticated, service_role cascade', v_view);
    execute format('grant select on api.%I to authenticated', v_view);
    for v_column in
      select distinct d.refobjid::regclass as relation, a.attname as name
        from pg_catalog.pg_rewrite r
        join pg_catalog.pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
         and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.refobjid <> r.ev_class
        join pg_catalog.pg_class c on c.oid = d.refobjid and c.relkind in ('r', 'p')
        join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
       where r.ev_class = format('api.%I', v_view)::regclass
    loop
      execute format('grant select (%I) on %s to authenticated', v_column.name, v_column.relation);
    end loop;
  end loop;
end $$;

-- Members read their own accounts' rows. The accounts are asked for once a query, not once a row.
do $$
declare
  v_table text;
begin
  foreach v_table in array array['credit_balances', 'credit_lots', 'credit_transactions', 'credit_usage', 'credit_holds',
    'credit_limits', 'payments', 'invoices', 'subscriptions', 'customers', 'payment_methods', 'auto_topup_settings', 'topups']
  loop
    execute format('drop policy if exists "Members read their own account" on billing.%I', v_table);
    execute format('create policy "Members read their own account" on billing.%I for select to authenticated
      using (account_id = any ((select billing.my_accounts(''member''))::text[]))', v_table);
  end loop;
end $$;
drop policy if exists "Members read their own account" on billing.accounts;
create policy "Members read their own account" on billing.accounts for select to authenticated
  using (id = any ((select billing.my_accounts('member'))::text[]));
drop policy if exists "Members read themselves, owners everybody" on billing.account_members;
create policy "Members read themselves, owners everybody" on billing.account_members for select to authenticated
  using (user_id = (select auth.uid()) or account_id = any ((select billing.my_accounts('owner'))::text[]));

-- The catalogue is for everybody who is signed in; a plan off sale, for those who have it.
drop policy if exists "Everybody reads packages on sale" on billing.credit_packages;
create policy "Everybody reads packages on sale" on billing.credit_packages for select to authenticated using (active);
drop policy if exists "Everybody reads plans on offer" on billing.subscription_plans;
create policy "Everybody reads plans on offer" on billing.subscription_plans for select to authenticated
  using (active or id in (select s.plan_id from billing.subscriptions s));
drop policy if exists "Everybody reads what actions cost" on billing.agent_action_costs;
create policy "Everybody reads what actions cost" on billing.agent_action_costs for select to authenticated
  using (account_id = '' or account_id = any ((select billing.my_accounts('member'))::text[]));

-- Balances go to Supabase Realtime where it is, with the columns that members may read. It sends a row to subscribers who
-- may read it. The default replica identity will do: the key never changes, and a row is never deleted.
do $$
declare
  v_columns name[];
  v_old     name[];
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables) then
    return;
  end if;
  select array_agg(attname order by attnum) into v_columns from pg_catalog.pg_attribute
   where attrelid = 'billing.credit_balances'::regclass and attnum > 0 and not attisdropped
     and has_column_privilege('authenticated', attrelid, attnum, 'select');
  select attnames into v_old from pg_catalog.pg_publication_tables
   where pubname = 'supabase_realtime' and schemaname = 'billing' and tablename = 'credit_balances';
  if v_old is not null and v_old <> v_columns then
    alter publication supabase_realtime drop table billing.credit_balances;
  end if;
  if v_old is distinct from v_columns then
    execute format('alter publication supabase_realtime add table billing.credit_balances (%s)',
      (select string_agg(quote_ident(c), ', ') from unnest(v_columns) c));
  end if;
end $$;
