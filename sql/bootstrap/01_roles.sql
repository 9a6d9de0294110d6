-- The roles that Supabase provides. On Supabase all of them exist and nothing happens here; elsewhere whoever runs this
-- must be allowed to create them. Roles belong to the whole server, so another database may create them meanwhile.
do $$
declare
  v_role record;
begin
  for v_role in
    select * from (values
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls'),
      ('authenticator', 'login noinherit')
    ) as wanted (name, options)
    where not exists (select from pg_catalog.pg_roles r where r.rolname = wanted.name)
  loop
    begin
      execute format('create role %I %s', v_role.name, v_role.options);
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
end $$;

-- What lets PostgREST, logged in as authenticator, act for each of them.
do $$
declare
  v_role name;
begin
  foreach v_role in array array['anon', 'authenticated', 'service_role']::name[]
  loop
    if not exists (
      select from pg_catalog.pg_auth_members m
      where m.roleid = v_role::regrole and m.member = 'authenticator'::regrole
    ) then
      begin
        execute format('grant %I to authenticator', v_role);
      exception when unique_violation or internal_error then
        null; -- "tuple concurrently updated": another database of this server granted it just now
      end;
    end if;
  end loop;
end $$;
