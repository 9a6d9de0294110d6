-- The part of Supabase's schema auth that policies use: who is calling, taken from the verified token of the request.
-- Only what is missing is created, so on Supabase nothing happens here.
do $$
begin
  if to_regnamespace('auth') is null then
    create schema auth;
    grant usage on schema auth to anon, authenticated, service_role;
  end if;

  if to_regprocedure('auth.jwt()') is null then
    create function auth.jwt() returns jsonb
      language sql stable
      return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
  end if;

  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid
      language sql stable
      return nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid;
  end if;

  if to_regprocedure('auth.role()') is null then
    create function auth.role() returns text
      language sql stable
      return nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role';
  end if;
end $$;
