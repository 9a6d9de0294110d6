"""Who may do what, asked of the database with the real roles: everything in the catalogue has an expectation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from shared.ledger import Ledger
from tests.sql.access import (
    ANON,
    BOTH,
    CALLERS,
    MEMBER,
    MEMBERSHIPS,
    NOBODY,
    READABLE,
    ROLES,
    SIGNED_IN,
    STRANGER,
    UNWRAPPED,
    VERBS,
    VIEWS,
    Caller,
    fill,
    is_hidden,
)
from tests.sql.books import CREDIT, Books

FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.proname as name, p.prosecdef as definer, p.proconfig as config,
       array(select t::regtype::text from unnest(p.proargtypes) t) as types
  from pg_proc p where p.pronamespace = 'billing'::regnamespace order by 1
"""
RELATIONS = """
select c.relname as name, c.relkind as kind, c.relrowsecurity as secured, c.reloptions as options, c.relispartition as part,
       n.nspname as schema, format('%%I.%%I', n.nspname, c.relname) as full_name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('billing', 'api') and c.relkind in ('r', 'p', 'v', 'm', 'f') order by n.nspname, c.relname
"""
COLUMNS = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
EVERY_SIGNED_IN = pytest.mark.parametrize("caller", SIGNED_IN, ids=lambda caller: caller.name)
EVERY_CALLER = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    fill(books)


def relations(books: Books, schema: str = "billing") -> list[dict[str, Any]]:
    return [row for row in books.query(RELATIONS) if row["schema"] == schema]


def test_everything_in_the_catalogue_has_an_expectation(books: Books) -> None:
    """Whoever adds a table, a view or a function says here who may use it."""
    names = {row["name"] for row in relations(books)}
    assert {name for name in names if name not in READABLE and not is_hidden(name)} == set()
    assert set(READABLE) <= names
    assert {row["name"] for row in relations(books, "api")} == set(VIEWS)
    functions = {row["name"] for row in books.query(FUNCTIONS) if not row["name"].startswith("_")}
    assert {name for name in functions - UNWRAPPED if not hasattr(Ledger, name)} == set()


def test_every_role_has_exactly_the_privileges_on_every_relation_that_it_should(books: Books) -> None:
    for row in [*relations(books), *relations(books, "api")]:
        for role in ROLES:
            for verb in VERBS:
                allowed = books.value("select has_table_privilege(%s, %s, %s)", role, row["full_name"], verb)
                wanted = role == "authenticated" and verb == "select" and row["schema"] == "api"
                assert allowed == wanted, (role, verb, row["full_name"])


def test_every_role_has_exactly_the_columns_that_it_should(books: Books) -> None:
    for row in relations(books):
        readable = READABLE.get(row["name"], "").split()
        columns = [found["attname"] for found in books.query(COLUMNS, row["full_name"])]
        for verb in ("select", "insert", "update", "references"):
            for role in ROLES:
                allowed = {
                    name for name in columns
                    if books.value("select has_column_privilege(%s, %s, %s, %s)", role, row["full_name"], name, verb)
                }  # fmt: skip
                wanted = set(readable) if (role, verb) == ("authenticated", "select") else set()
                assert allowed == wanted, (role, verb, row["name"])


def test_no_role_has_a_privilege_on_sequences_or_may_create_anything(books: Books) -> None:
    sequences = books.query(
        "select oid from pg_class where relkind = 'S' and relnamespace = 'billing'::regnamespace"
    )
    for role in ROLES:
        for row in sequences:
            assert not books.value(
                "select has_sequence_privilege(%s, %s::oid, 'usage, select, update')", role, row["oid"]
            )
        for schema in ("billing", "api"):
            assert not books.value("select has_schema_privilege(%s, %s, 'create')", role, schema)
    assert not books.value("select has_schema_privilege('anon', 'billing', 'usage')")
    assert not books.value("select has_schema_privilege('anon', 'api', 'usage')")


def test_every_role_may_execute_exactly_the_functions_that_it_should(books: Books) -> None:
    functions = books.query(FUNCTIONS)
    assert len(functions) > 70
    for row in functions:
        wanted = {
            "anon": False,
            "authenticated": row["name"] == "my_accounts",
            "service_role": not row["name"].startswith("_") and row["name"] not in UNWRAPPED,
            "public": False,
        }
        for role, allowed in wanted.items():
            found = books.value("select has_function_privilege(%s, %s, 'execute')", role, row["signature"])
            assert found == allowed, (role, row["signature"])


def test_every_function_runs_as_its_owner_with_an_empty_search_path(books: Books) -> None:
    for row in books.query(FUNCTIONS):
        assert row["config"] == ['search_path=""'], row["signature"]
        assert row["definer"] or row["name"] == "refuse_change", row["signature"]


def test_every_table_has_row_level_security_partitions_too(books: Books) -> None:
    books.ledger.ensure_usage_partitions(6)
    tables = [row for row in relations(books) if row["kind"] in ("r", "p")]
    assert sum(row["part"] for row in tables) >= 7
    assert [row["name"] for row in tables if not row["secured"]] == []


def test_every_view_asks_with_the_rights_of_its_reader(books: Books) -> None:
    views = [row for row in [*relations(books), *relations(books, "api")] if row["kind"] == "v"]
    assert len(views) > 40
    assert [row["name"] for row in views if "security_invoker=true" not in (row["options"] or [])] == []


def test_policies_let_nobody_write(books: Books) -> None:
    assert (
        books.query("select tablename from pg_policies where schemaname = 'billing' and cmd <> 'SELECT'")
        == []
    )
    roles = books.query(
        "select distinct unnest(roles)::text as role from pg_policies where schemaname = 'billing'"
    )
    assert roles == [{"role": "authenticated"}]


@EVERY_CALLER
def test_a_caller_reads_the_rows_of_the_own_accounts_and_nobody_elses(books: Books, caller: Caller) -> None:
    with books.database.acting_as(caller.role, caller.claims) as connection:
        for view, column in VIEWS.items():
            statement = f"select to_jsonb(v) from api.{view} v".encode()
            if caller.role != "authenticated":
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
                continue
            rows = [row for (row,) in connection.execute(statement).fetchall()]
            if column:
                assert {row[column] for row in rows} == set(caller.sees), view
            elif view == "actions":
                assert {row["account_id"] for row in rows} == {None, *caller.sees}
            else:
                assert rows, view


@EVERY_SIGNED_IN
def test_owners_see_who_the_members_are_and_others_themselves(books: Books, caller: Caller) -> None:
    with books.database.acting_as(caller.role, caller.claims) as connection:
        found = connection.execute("select account_id, user_id::text from api.members").fetchall()
    assert set(found) == {
        (account, member.sub) for account, member, _role in MEMBERSHIPS
        if member is caller or account in caller.owns
    }  # fmt: skip


@EVERY_SIGNED_IN
def test_tables_themselves_show_no_foreign_row_either(books: Books, caller: Caller) -> None:
    with books.database.acting_as(caller.role, caller.claims) as connection:
        for table in (name for name, columns in READABLE.items() if "account_id" in columns):
            found = connection.execute(f"select distinct account_id from billing.{table}".encode()).fetchall()
            wanted = {*caller.sees, *([""] if table == "agent_action_costs" else [])}
            assert {account for (account,) in found} == wanted, table
        for column in ("stripe_customer_id", "*"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select {column} from billing.customers".encode())


def test_a_strange_subject_sees_nothing(books: Books) -> None:
    for sub in ("not-a-uuid", "' or true --", "00000000-0000-0000-0000-000000000000"):
        with books.database.acting_as("authenticated", {"sub": sub}) as caller:
            try:
                rows = caller.execute("select * from api.balance").fetchall()
            except psycopg.errors.InvalidTextRepresentation:
                rows = []
            assert rows == []


def test_accounts_are_found_by_role_and_an_unknown_role_finds_none(books: Books) -> None:
    wanted = {"member": {"a", "b"}, "admin": {"b"}, "owner": {"b"}, "root": set(), "": set(), None: set()}
    with books.database.acting_as("authenticated", BOTH.claims) as caller:
        for role, accounts in wanted.items():
            row = caller.execute("select billing.my_accounts(%s)", [role]).fetchone()
            assert row is not None
            assert set(row[0]) == accounts, role


def test_a_package_off_sale_is_not_shown(books: Books) -> None:
    books.query("update billing.credit_packages set active = false")
    with books.database.acting_as("authenticated", MEMBER.claims) as member:
        assert member.execute("select count(*) from api.packages").fetchone() == (0,)
        assert member.execute("select count(*) from billing.credit_packages").fetchone() == (0,)


def test_a_plan_off_sale_is_shown_to_who_has_it_alone(books: Books) -> None:
    books.query("update billing.subscription_plans set active = false")
    for caller, count in ((MEMBER, 1), (STRANGER, 0), (NOBODY, 0)):
        with books.database.acting_as("authenticated", caller.claims) as connection:
            assert connection.execute("select count(*) from api.plans").fetchone() == (0,)
            assert connection.execute("select count(*) from api.subscription").fetchone() == (count,)
            assert connection.execute("select count(*) from billing.subscription_plans").fetchone() == (
                count,
            )


COLUMN = """
select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attidentity = '' order by attnum limit 1
"""
WRITES = {
    "insert": "insert into {} default values",
    "update": "update {} set {} = {}",
    "delete": "delete from {}",
    "truncate": "truncate {}",
}


@EVERY_CALLER
def test_nobody_writes_any_relation(books: Books, caller: Caller) -> None:
    """Tried, not only asked: also as the owner of the account whose rows they are."""
    with books.nothing_moves(), books.database.acting_as(caller.role, caller.claims) as connection:
        for row in [*relations(books), *relations(books, "api")]:
            column = sql.Identifier(books.value(COLUMN, row["full_name"])).as_string(connection)
            for verb, statement in WRITES.items():
                if row["kind"] == "v" and verb == "truncate":
                    continue
                filled = statement.format(row["full_name"], column, column)
                # A view that cannot be written at all refuses before rights are looked at.
                with pytest.raises(
                    (
                        psycopg.errors.InsufficientPrivilege,
                        psycopg.errors.ObjectNotInPrerequisiteState,
                        psycopg.errors.FeatureNotSupported,
                    )
                ):
                    connection.execute(filled.encode())


@pytest.mark.parametrize("caller", [ANON, *SIGNED_IN], ids=lambda caller: caller.name)
def test_no_client_calls_any_function(books: Books, caller: Caller) -> None:
    """Every one of the catalogue, so that a new one is tried without being named."""
    with books.nothing_moves(), books.database.acting_as(caller.role, caller.claims) as connection:
        for row in books.query(FUNCTIONS):
            if row["name"] == "my_accounts" and caller is not ANON:
                continue
            values = ", ".join(f"null::{kind}" for kind in row["types"])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select billing.{row['name']}({values})".encode())


def test_the_service_calls_no_part_of_a_function(books: Books) -> None:
    with books.nothing_moves(), books.database.acting_as("service_role") as connection:
        for row in books.query(FUNCTIONS):
            if row["name"].startswith("_") or row["name"] in UNWRAPPED:
                values = ", ".join(f"null::{kind}" for kind in row["types"])
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"select billing.{row['name']}({values})".encode())


def test_the_service_role_calls_functions_and_reads_no_table(books: Books) -> None:
    with books.database.acting_as("service_role") as service:
        assert service.execute("select billing.get_balance('a')->>'account_id'").fetchone() == ("a",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("select * from billing.credit_balances")


@pytest.fixture
def shadowed(books: Books) -> Iterator[psycopg.Connection[Any]]:
    """A caller who put a schema, and temporary tables, with tempting names before everything else."""
    books.query(
        "create schema evil; grant all on schema evil to public;"
        "create table evil.credit_balances (account_id text, balance bigint);"
        "create function evil.now() returns timestamptz language sql as $$ select timestamptz '1999-01-01' $$;"
        "create function evil.coalesce_it(anyelement) returns anyelement language sql as $$ select $1 $$;"
        "create function evil.to_jsonb(anyelement) returns jsonb language sql as $$ select '\"evil\"'::jsonb $$;"
        "create function evil.md5(text) returns text language sql as $$ select repeat('0', 32) $$;"
        "create function evil.is_more(bigint, bigint) returns boolean language sql as $$ select true $$;"
        "create operator evil.>= (leftarg = bigint, rightarg = bigint, function = evil.is_more)"
    )
    with books.database.acting_as("service_role") as caller:
        caller.execute("set search_path = evil, pg_catalog, billing")
        caller.execute("create temp table credit_balances (account_id text, balance bigint)")
        caller.execute("create temp table account_members (account_id text, user_id uuid)")
        yield caller


def test_names_that_a_caller_puts_in_front_have_no_effect(
    books: Books, shadowed: psycopg.Connection[Any]
) -> None:
    event = sql.Literal('{"id": "shadow", "amount": 5000000}')
    call = sql.SQL("select billing.spend_credits('a', {}::jsonb)->>'available'").format(event)
    before = books.balance()
    assert shadowed.execute(call).fetchone() == (str(int((before - 5 - 5) * CREDIT)),)
    assert books.balance() == before - 5
    assert books.value(
        "select created_at > now() - interval '1 hour' from billing.credit_usage where event_id = 'shadow'"
    )
    with pytest.raises(psycopg.DatabaseError, match="Not enough credits"):
        shadowed.execute("""select billing.spend_credits('a', '{"id": "big", "amount": 900000000000}')""")
    books.assert_sound()


def test_a_member_cannot_shadow_what_the_policies_read(books: Books) -> None:
    books.query(
        "create schema evil; grant all on schema evil to public;"
        "create function evil.uid() returns uuid language sql as $$ select '%s'::uuid $$;".replace(
            "%s", str(MEMBER.sub)
        )
    )
    with books.database.acting_as("authenticated", STRANGER.claims) as stranger:
        stranger.execute(
            "create temp table account_members as select 'a'::text as account_id, %s::uuid as user_id, 'owner' as role",
            [STRANGER.sub],
        )
        stranger.execute("create function pg_temp.my_accounts(text) returns text[] return array['a', 'b']")
        stranger.execute("set search_path = pg_temp, evil, billing, api")
        for view in ("balance", "transactions", "members", "payments"):
            assert stranger.execute(f"select count(*) from api.{view}".encode()).fetchone() == (0,)
