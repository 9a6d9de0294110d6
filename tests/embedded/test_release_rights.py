"""What a release leaves of rights that were there before, or were granted since: what policies.sql grants."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared import migrate
from tests.sql.access import READABLE, VIEWS
from tests.support import Database

MEMBER = "7f2c1b52-6f3c-4f6e-9a53-0a2a5d8f6f10"
# Supabase grants on whatever is created in schema public; a careless project on whatever is created anywhere.
GENEROUS = """
alter default privileges grant all on tables to public, anon, authenticated, service_role;
alter default privileges grant all on sequences to public, anon, authenticated, service_role;
alter default privileges grant all on functions to public, anon, authenticated, service_role;
alter default privileges grant all on schemas to public, anon, authenticated, service_role;
create schema api;
grant all on schema api to public, anon, authenticated;
create table api.notes (id int primary key);
create view api.own as select id from api.notes;
"""
HOSTILE = """
grant all on schema billing, api to public, anon, authenticated;
grant all on all tables in schema billing, api to anon, authenticated, service_role with grant option;
grant all on all sequences in schema billing to anon;
grant all on all functions in schema billing to public, authenticated;
grant select (hash), update (hash) on billing.api_keys to anon, authenticated;
set role anon;
grant select on billing.customers to authenticated;
reset role;
create policy open on billing.customers for all to public using (true) with check (true);
create policy wide on billing.credit_balances for select to authenticated using (true);
alter table billing.payments disable row level security;
"""
ROLES = "array['public', 'anon', 'authenticated', 'service_role']"
# Everything that the roles of clients may do with what is Refill's.
RIGHTS = f"""
with roles as (select unnest({ROLES}) as role),
verbs as (select unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as verb),
relations as (
  select c.oid, n.nspname || '.' || c.relname as name, c.relkind
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'billing' or (n.nspname = 'api' and c.relname not in ('notes', 'own', 'notes_pkey')))
select role, verb, r.name from roles, verbs, relations r
 where r.relkind in ('r', 'p', 'v') and has_table_privilege(role, r.oid, verb)
union all
select role, verb, r.name || '.' || a.attname from roles, verbs, relations r join pg_attribute a on a.attrelid = r.oid
 where r.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped and not has_table_privilege(role, r.oid, verb)
   and verb in ('select', 'insert', 'update', 'references') and has_column_privilege(role, r.oid, a.attnum, verb)
union all
select role, 'sequence', r.name from roles, relations r
 where r.relkind = 'S' and has_sequence_privilege(role, r.oid, 'usage, select, update')
union all
select role, 'execute', p.proname from roles, pg_proc p
 where p.pronamespace = 'billing'::regnamespace and has_function_privilege(role, p.oid, 'execute')
union all
select role, 'create', n from roles, unnest(array['billing', 'api']) n where has_schema_privilege(role, n, 'create')
union all
select role, 'usage', 'billing' from roles where has_schema_privilege(role, 'billing', 'usage')
union all
select 'public', 'no row security', r.name from relations r join pg_class c on c.oid = r.oid
 where c.relkind in ('r', 'p') and not c.relrowsecurity
union all
select roles::text, cmd, tablename || ' ' || qual from pg_policies where schemaname = 'billing'
"""


def release(database: Database) -> list[str]:
    lines: list[str] = []
    migrate.apply(database.dsn, report=lines.append)
    return lines


def rights(database: Database) -> set[tuple[Any, ...]]:
    with database.connect() as connection:
        return set(connection.execute(RIGHTS.encode()).fetchall())


def run(database: Database, statements: str) -> None:
    with database.connect() as connection:
        connection.execute(statements.encode())


@pytest.fixture
def wanted(database: Database) -> set[tuple[Any, ...]]:
    """The rights in a database that was made from nothing."""
    return rights(database)


def test_rights_are_those_that_are_written_down(wanted: set[tuple[Any, ...]]) -> None:
    assert {
        name
        for role, verb, name in wanted
        if (role, verb) == ("authenticated", "select") and name[:4] == "api."
    } == {f"api.{view}" for view in VIEWS}
    columns = {f"billing.{table}.{column}" for table, names in READABLE.items() for column in names.split()}
    assert {
        name for role, verb, name in wanted if role == "authenticated" and name[:8] == "billing."
    } == columns
    assert {row for row in wanted if row[0] in ("public", "anon")} == set()


def test_generous_default_privileges_leave_nothing_behind(
    empty_database: Database, wanted: set[tuple[Any, ...]]
) -> None:
    """Also of what functions create later, and the project's own things in schema api stay as they are."""
    run(empty_database, GENEROUS)
    release(empty_database)
    assert rights(empty_database) == wanted
    run(empty_database, "select billing.ensure_usage_partitions(9)")
    assert rights(empty_database) == wanted
    with empty_database.connect() as connection:
        kept = (
            "select has_table_privilege('anon', 'api.notes', 'insert')"
            " and has_table_privilege('anon', 'api.own', 'select')"
        )
        assert connection.execute(kept.encode()).fetchone() == (True,)


def test_hostile_grants_and_policies_are_gone_after_the_next_release(
    database: Database, wanted: set[tuple[Any, ...]]
) -> None:
    """Although no file has changed; and the release after that has nothing to do."""
    run(database, HOSTILE)
    assert len(rights(database)) > 2 * len(wanted)
    assert "grants and policies: restored" in release(database)
    assert rights(database) == wanted
    assert release(database) == ["functions, views, policies and seed are up to date"]


@pytest.mark.parametrize(
    "grant",
    [
        "grant select on billing.api_keys to anon",
        "grant update (balance) on billing.credit_balances to authenticated",
        "grant execute on function billing.get_balance(text) to public",
        "grant usage on schema billing to anon",
        "grant insert on api.balance to authenticated",
        "alter table billing.credit_lots disable row level security",
        'drop policy "Members read their own account" on billing.credit_lots',
        "revoke select on api.lots from authenticated",
    ],
)
def test_a_single_change_of_rights_is_noticed(
    database: Database, wanted: set[tuple[Any, ...]], grant: str
) -> None:
    run(database, grant)
    assert rights(database) != wanted
    release(database)
    assert rights(database) == wanted


def test_views_of_the_project_in_schema_api_are_neither_dropped_nor_opened(empty_database: Database) -> None:
    run(
        empty_database,
        "create schema api; create table api.secrets (id int); create view api.mine as select 1 as one",
    )
    release(empty_database)
    run(
        empty_database,
        "insert into billing.schema_files values ('sql/api/former.sql', 'x');"
        "create view api.former with (security_invoker = true) as select id from billing.accounts",
    )
    assert "view api.former: dropped, no file creates it any more" in release(empty_database)
    with empty_database.connect() as connection:
        assert connection.execute("select one from api.mine").fetchone() == (1,)
        assert connection.execute(
            "select has_table_privilege('authenticated', 'api.mine', 'select')"
        ).fetchone() == (False,)


# Realtime

PUBLISHED = (
    "select array_to_string(attnames, ' ') from pg_publication_tables where pubname = 'supabase_realtime'"
)


def published(database: Database) -> str | None:
    with database.connect() as connection:
        rows = connection.execute(
            f"{PUBLISHED} and schemaname = 'billing' and tablename = 'credit_balances'".encode()
        )
        row = rows.fetchone()
        return str(row[0]) if row else None


def test_without_realtime_nothing_is_published(database: Database) -> None:
    with database.connect() as connection:
        assert connection.execute("select count(*) from pg_publication").fetchone() == (0,)


@pytest.mark.parametrize(
    "publication",
    [
        "create publication supabase_realtime",
        "create publication supabase_realtime; alter publication supabase_realtime add table billing.credit_balances",
        "create publication supabase_realtime for table billing.credit_balances (account_id, topup_trigger)",
    ],
)
def test_balances_are_published_with_the_columns_that_members_read(
    database: Database, publication: str
) -> None:
    run(database, publication)
    release(database)
    assert published(database) == READABLE["credit_balances"]
    assert release(database) == ["functions, views, policies and seed are up to date"]
    assert published(database) == READABLE["credit_balances"]


def test_a_publication_of_everything_is_left_alone(database: Database) -> None:
    run(database, "create publication supabase_realtime for all tables")
    release(database)
    assert "topup_trigger" in str(published(database))


def test_a_published_balance_still_changes(database: Database) -> None:
    """A table that is published needs a replica identity for updates: the key is one, and never changes."""
    run(database, "create publication supabase_realtime")
    release(database)
    run(database, "select billing.open_account('a', 'A', null, null, 1000000, 'test');"
                  "select billing.spend_credits('a', '{\"id\": \"e\", \"amount\": 1}')")  # fmt: skip
    with database.connect() as connection:
        assert connection.execute("select balance from billing.credit_balances").fetchone() == (999_999,)


def test_realtime_asks_as_the_subscriber_and_gets_the_own_row_only(database: Database) -> None:
    """Its question is prepared by the role of Realtime and planned anew as the subscriber, who has to find the table."""
    run(database, f"select billing.open_account(n, n, null, case n when 'a' then '{MEMBER}'::uuid end, 0, 'test')"
                  " from unnest(array['a', 'b']) n")  # fmt: skip
    with database.connect() as connection:
        connection.execute(
            "prepare walrus (text) as select exists (select from billing.credit_balances where account_id = $1)"
        )
        for sub, account, seen in (
            (MEMBER, "a", True),
            (MEMBER, "b", False),
            (MEMBER.replace("7", "8"), "a", False),
        ):
            claims = json.dumps({"role": "authenticated", "sub": sub})
            connection.execute(
                "select set_config('role', 'authenticated', false), set_config('request.jwt.claims', %s, false)",
                [claims],
            )
            assert connection.execute(f"execute walrus ('{account}')".encode()).fetchone() == (seen,)
            connection.execute("reset role")
