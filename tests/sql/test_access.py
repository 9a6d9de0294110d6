"""Who may do what, asked of the database with the real roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.sql.books import CREDIT, Books

MEMBER = "7f2c1b52-6f3c-4f6e-9a53-0a2a5d8f6f10"
STRANGER = "11111111-6f3c-4f6e-9a53-0a2a5d8f6f10"
ROLES = ("anon", "authenticated", "service_role")
# What a signed-in user reads: the own account's rows, or the catalogue.
MEMBERS_READ = {
    "accounts", "account_members", "credit_balances", "credit_lots", "credit_transactions", "credit_usage", "credit_holds",
    "credit_limits", "payments", "invoices", "subscriptions", "auto_topup_settings",
    "auto_topup_consents", "ledger_entries", "credit_draws",
}  # fmt: skip
EVERYBODY_READS = {"credit_packages", "subscription_plans", "agent_action_costs", "current_action_costs"}
VERBS = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.proname as name, p.prosecdef as definer, p.proconfig as config,
       p.provolatile as volatile, p.prorettype::regtype::text as result
  from pg_proc p where p.pronamespace = 'billing'::regnamespace order by 1
"""
RELATIONS = """
select c.relname as name, c.relkind as kind, c.relrowsecurity as secured, c.reloptions as options, c.relispartition as part
  from pg_class c where c.relnamespace = 'billing'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1
"""


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.ledger.open_account("a", "A", "a@example.com", MEMBER, 100 * CREDIT, "test")
    books.ledger.open_account("b", "B", "b@example.com", None, 100 * CREDIT, "test")
    for name in ("a", "b"):
        books.enable(name)
        books.ledger.place_hold(name, {"id": "h", "amount": CREDIT})
        books.ledger.set_limit(
            name, {"scope": "agent", "scope_id": "x", "window": "day", "credits": CREDIT}, "test"
        )
        books.spend(1, account=name)
        books.settle(books.buy(name))
    books.query(
        "insert into billing.invoices (id, account_id, status, amount_due, amount_paid, currency, occurred_at)"
        " select 'in_' || id, id, 'paid', 1, 1, 'usd', now() from billing.accounts"
    )
    books.query(
        "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
        " cancel_at_period_end, started_at, version)"
        " select 'sub_' || id, id, 'pro', 'cus_' || id, 'active', 1, false, now(), 1 from billing.accounts"
    )


def test_every_role_has_exactly_the_privileges_on_every_relation_that_it_should(books: Books) -> None:
    relations = [row["name"] for row in books.query(RELATIONS)]
    assert {*MEMBERS_READ, *EVERYBODY_READS, "topups", "api_keys", "credit_usage_default"} <= set(relations)
    for name in relations:
        for role in ROLES:
            for verb in VERBS:
                allowed = books.value("select has_table_privilege(%s, %s, %s)", role, f"billing.{name}", verb)
                wanted = (
                    role == "authenticated" and verb == "select" and name in MEMBERS_READ | EVERYBODY_READS
                )
                assert allowed == wanted, (role, verb, name)


def test_no_role_has_a_privilege_on_single_columns_or_sequences(books: Books) -> None:
    for row in books.query(RELATIONS):
        for verb in ("insert", "update", "references"):
            for role in ROLES:
                assert not books.value(
                    "select has_any_column_privilege(%s, %s, %s)", role, f"billing.{row['name']}", verb
                )
    sequences = books.query(
        "select oid from pg_class where relkind = 'S' and relnamespace = 'billing'::regnamespace"
    )
    for row in sequences:
        for role in ROLES:
            assert not books.value(
                "select has_sequence_privilege(%s, %s::oid, 'usage, select, update')", role, row["oid"]
            )


def test_every_role_may_execute_exactly_the_functions_that_it_should(books: Books) -> None:
    functions = books.query(FUNCTIONS)
    assert len(functions) > 70
    for row in functions:
        inner = row["name"].startswith("_") or row["name"] == "refuse_change"
        wanted = {
            "anon": False,
            "authenticated": row["name"] == "is_member",
            "service_role": not inner,
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
    tables = [row for row in books.query(RELATIONS) if row["kind"] in ("r", "p")]
    assert sum(row["part"] for row in tables) >= 7
    assert [row["name"] for row in tables if not row["secured"]] == []


def test_every_view_asks_with_the_rights_of_its_reader(books: Books) -> None:
    views = [row for row in books.query(RELATIONS) if row["kind"] == "v"]
    assert len(views) > 15
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


@pytest.mark.parametrize("relation", sorted(MEMBERS_READ))
def test_a_member_reads_the_rows_of_the_own_account_and_nobody_elses(books: Books, relation: str) -> None:
    column = "id" if relation == "accounts" else "account_id"
    statement = f"select distinct {column} from billing.{relation}".encode()
    with books.database.acting_as("authenticated", {"sub": MEMBER}) as member:
        assert member.execute(statement).fetchall() == [("a",)]
    for claims in ({"sub": STRANGER}, {}):
        with books.database.acting_as("authenticated", claims) as stranger:
            assert stranger.execute(statement).fetchall() == []


@pytest.mark.parametrize("relation", sorted(EVERYBODY_READS))
def test_everybody_who_is_signed_in_reads_the_catalogue(books: Books, relation: str) -> None:
    with books.database.acting_as("authenticated", {"sub": STRANGER}) as stranger:
        assert stranger.execute(f"select count(*) > 0 from billing.{relation}".encode()).fetchone() == (True,)


def test_a_package_off_sale_is_not_shown(books: Books) -> None:
    books.query("update billing.credit_packages set active = false")
    with books.database.acting_as("authenticated", {"sub": MEMBER}) as member:
        assert member.execute("select count(*) from billing.credit_packages").fetchone() == (0,)


COLUMN = """
select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attidentity = '' order by attnum limit 1
"""
WRITES = {
    "insert": "insert into billing.{} default values",
    "update": "update billing.{} set {} = {}",
    "delete": "delete from billing.{}",
    "truncate": "truncate billing.{}",
}


@pytest.mark.parametrize("role", ROLES)
def test_no_role_writes_any_table(books: Books, role: str) -> None:
    """Tried, not only asked: as a member of the account whose rows they are."""
    with books.nothing_moves(), books.database.acting_as(role, {"sub": MEMBER}) as caller:
        for row in books.query(RELATIONS):
            column = books.value(COLUMN, f"billing.{row['name']}")
            for verb, statement in WRITES.items():
                if row["kind"] == "v" and verb == "truncate":
                    continue
                filled = statement.format(row["name"], column, column)
                # A view of several tables refuses before rights are looked at.
                with pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
                ):
                    caller.execute(filled.encode())


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_no_client_calls_a_function_that_moves_anything(books: Books, role: str) -> None:
    with books.nothing_moves(), books.database.acting_as(role, {"sub": MEMBER}) as caller:
        for statement in (
            'select billing.spend_credits(\'a\', \'{"id": "x", "amount": 1}\')',
            "select billing.adjust_credits('x', 'a', 1000000, 'mine', 'me')",
            "select billing.get_balance('a')",
            "select billing._post_grant('a', 'promotion', 'promotions', 1, 'x', 'x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                caller.execute(statement.encode())


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
    assert shadowed.execute(call).fetchone() == (str(int((before - 5 - 1) * CREDIT)),)
    assert books.balance() == before - 5
    assert books.value(
        "select created_at > now() - interval '1 hour' from billing.credit_usage where event_id = 'shadow'"
    )
    with pytest.raises(psycopg.DatabaseError, match="Not enough credits"):
        shadowed.execute("""select billing.spend_credits('a', '{"id": "big", "amount": 900000000000}')""")
    books.assert_sound()


def test_a_member_cannot_shadow_the_table_of_members(books: Books) -> None:
    with books.database.acting_as("authenticated", {"sub": STRANGER}) as stranger:
        stranger.execute(
            "create temp table account_members as select 'a'::text as account_id, %s::uuid as user_id",
            [STRANGER],
        )
        stranger.execute("set search_path = pg_temp, billing")
        assert stranger.execute("select count(*) from billing.credit_balances").fetchone() == (0,)
