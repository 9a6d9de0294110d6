-- Every grant and every row-level policy of Refill; nothing is granted elsewhere. Re-runnable.
--   anon            nothing
--   authenticated   (a signed-in Supabase user) reads the rows of accounts that the user is a member of; writes nothing
--   service_role    (the backend over PostgREST) executes the functions; touches no table, so that no client key, however
--                   privileged, can write money past them
-- Functions whose name begins with an underscore are parts of others, and nobody's to call.

revoke all on schema billing from public, anon, authenticated, service_role;
grant usage on schema billing to authenticated, service_role;
revoke all on all tables in schema billing from public, anon, authenticated, service_role;
revoke all on all sequences in schema billing from public, anon, authenticated, service_role;
alter default privileges in schema billing revoke all on tables from public, anon, authenticated, service_role;
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
    execute format('revoke all on function %s from public, anon, authenticated, service_role', v_function.signature);
    if v_function.proname not like '\_%' and v_function.proname <> 'refuse_change' then
      execute format('grant execute on function %s to service_role', v_function.signature);
    end if;
  end loop;
end $$;

-- Members read their own account's rows.
grant execute on function billing.is_member(text) to authenticated;
do $$
declare
  v_table text;
begin
  foreach v_table in array array['account_members', 'credit_balances', 'credit_lots', 'credit_transactions',
    'credit_usage', 'credit_holds', 'credit_limits', 'payments', 'invoices', 'subscriptions', 'auto_topup_settings',
    'auto_topup_consents']
  loop
    execute format('drop policy if exists "Members read their own account" on billing.%I', v_table);
    execute format('create policy "Members read their own account" on billing.%I for select to authenticated
      using ((select billing.is_member(account_id)))', v_table);
    execute format('grant select on billing.%I to authenticated', v_table);
  end loop;
end $$;
drop policy if exists "Members read their own account" on billing.accounts;
create policy "Members read their own account" on billing.accounts for select to authenticated
  using ((select billing.is_member(id)));
grant select on billing.accounts to authenticated;
grant select on billing.ledger_entries, billing.credit_draws to authenticated;

-- The catalogue is for everybody who is signed in.
drop policy if exists "Everybody reads packages on sale" on billing.credit_packages;
create policy "Everybody reads packages on sale" on billing.credit_packages for select to authenticated using (active);
drop policy if exists "Everybody reads plans on offer" on billing.subscription_plans;
create policy "Everybody reads plans on offer" on billing.subscription_plans for select to authenticated using (active);
drop policy if exists "Everybody reads what actions cost" on billing.agent_action_costs;
create policy "Everybody reads what actions cost" on billing.agent_action_costs for select to authenticated
  using (account_id = '' or (select billing.is_member(account_id)));
grant select on billing.credit_packages, billing.subscription_plans, billing.agent_action_costs,
  billing.current_action_costs to authenticated;
