"""What a front end reads and is refused, through the real PostgREST with signed tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

import supabase
from local.embedded import PostgREST, SupabaseGateway
from shared.db import PostgresDatabase
from tests.sql.access import (
    ANON,
    BOTH,
    CALLERS,
    MEMBER,
    NOBODY,
    OWNER,
    READABLE,
    SERVICE,
    SIGNED_IN,
    STRANGER,
    UNWRAPPED,
    VIEWS,
    Caller,
    fill,
)
from tests.sql.books import Books
from tests.support import Database

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
REFUSALS = {"42501", "55000", "0A000"}  # no privilege; a view that nobody could write
EVERY_CALLER = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
RELATIONS = """
select n.nspname as schema, c.relname as name, c.relkind as kind, a.attname as column
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join lateral (select attname from pg_attribute
                 where attrelid = c.oid and attnum > 0 and attidentity = '' order by attnum limit 1) a on true
 where n.nspname in ('billing', 'api') and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1, 2
"""
FUNCTIONS = """
select proname as name, coalesce(proargnames[:pronargs], '{}') as arguments, prorettype = 'trigger'::regtype as is_trigger
  from pg_proc where pronamespace = 'billing'::regnamespace order by 1
"""


class Api:
    """The data API as one caller meets it."""

    def __init__(self, server: PostgREST, caller: Caller) -> None:
        claims = {"role": caller.role, "aud": caller.role, "exp": int(time.time()) + 600, **caller.claims}
        self.client = httpx.Client(base_url=server.url, headers=bearer(claims, server.secret))

    def ask(self, verb: str, path: str, schema: str = "api", **options: Any) -> httpx.Response:
        profile = {"Accept-Profile": schema, "Content-Profile": schema} | options.pop("headers", {})
        return self.client.request(verb, path, headers=profile, **options)

    def rows(self, path: str, schema: str = "api") -> list[dict[str, Any]]:
        answer = self.ask("GET", path, schema)
        assert answer.status_code in (200, 206), answer.text
        return list(answer.json())

    def assert_refused(self, verb: str, path: str, schema: str = "api", **options: Any) -> None:
        answer = self.ask(verb, path, schema, **options)
        # Partitions are not there at all, and functions or views of the other schema neither.
        refused = answer.status_code == 404 or answer.json().get("code") in REFUSALS
        assert refused, (verb, path, answer.status_code, answer.text)


def bearer(claims: dict[str, Any], secret: str, algorithm: str = "HS256") -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm=algorithm)}"}


@pytest.fixture
def books(database: Database) -> Iterator[Books]:
    made = Books(database, PostgresDatabase(database.dsn, pool_size=2))
    fill(made)
    yield made
    made.close()


@pytest.fixture
def server(books: Books, postgrest: PostgREST) -> PostgREST:
    return postgrest


@EVERY_CALLER
def test_every_view_answers_the_rows_of_the_own_accounts_alone(server: PostgREST, caller: Caller) -> None:
    api = Api(server, caller)
    for view, column in VIEWS.items():
        if caller.role != "authenticated":
            api.assert_refused("GET", f"/{view}")
            continue
        rows = api.rows(f"/{view}")
        if column:
            assert {row[column] for row in rows} == set(caller.sees), view
        elif view == "actions":
            assert {row["account_id"] for row in rows} == {None, *caller.sees}
        else:
            assert rows, view


@EVERY_CALLER
def test_nobody_writes_any_relation(books: Books, server: PostgREST, caller: Caller) -> None:
    api = Api(server, caller)
    with books.nothing_moves():
        for row in books.query(RELATIONS):
            path, body = f"/{row['name']}", {row["column"]: None}
            api.assert_refused("POST", path, row["schema"], json=body)
            api.assert_refused("PATCH", path, row["schema"], json=body)
            api.assert_refused("DELETE", f"{path}?{row['column']}=not.is.null", row["schema"])
            merge = {"Prefer": "resolution=merge-duplicates"}
            api.assert_refused("POST", path, row["schema"], json=body, headers=merge)


@pytest.mark.parametrize("caller", [ANON, *SIGNED_IN], ids=lambda caller: caller.name)
def test_every_function_is_refused_to_clients(books: Books, server: PostgREST, caller: Caller) -> None:
    """Fault 83: no token of a client moves money, whichever function it names."""
    api = Api(server, caller)
    with books.nothing_moves():
        for row in books.query(FUNCTIONS):
            if row["name"] != "my_accounts" or caller is ANON:
                body = dict.fromkeys(row["arguments"])
                answer = api.ask("POST", f"/rpc/{row['name']}", "billing", json=body)
                wanted = "PGRST202" if row["is_trigger"] else "42501"
                assert answer.json()["code"] == wanted, (row["name"], answer.text)
                api.assert_refused("POST", f"/rpc/{row['name']}", "api", json=body)


def test_the_service_calls_functions_but_no_part_of_one_and_no_table(books: Books, server: PostgREST) -> None:
    api = Api(server, SERVICE)
    answer = api.ask("POST", "/rpc/get_balance", "billing", json={"p_account_id": "a"})
    assert answer.json()["account_id"] == "a"
    with books.nothing_moves():
        for row in books.query(FUNCTIONS):
            if row["name"].startswith("_") or row["name"] in UNWRAPPED:
                api.assert_refused(
                    "POST", f"/rpc/{row['name']}", "billing", json=dict.fromkeys(row["arguments"])
                )
        for row in books.query(RELATIONS):
            api.assert_refused("GET", f"/{row['name']}", row["schema"])


@pytest.mark.parametrize("caller", SIGNED_IN, ids=lambda caller: caller.name)
def test_the_exposed_schema_billing_shows_no_more_than_the_views(
    books: Books, server: PostgREST, caller: Caller
) -> None:
    """Its functions need it exposed; whoever asks for tables there gets the same rows and columns, or nothing."""
    api = Api(server, caller)
    for row in books.query(RELATIONS):
        if row["schema"] != "billing":
            continue
        columns = READABLE.get(row["name"], "").split()
        if not columns:
            api.assert_refused("GET", f"/{row['name']}", "billing")
            api.assert_refused("GET", f"/{row['name']}?select={row['column']}", "billing")
            continue
        rows = api.rows(f"/{row['name']}?select={','.join(columns)}", "billing")
        key = "id" if row["name"] == "accounts" else "account_id"
        if key in columns:
            assert {found[key] for found in rows} - {""} == set(caller.sees), row["name"]


LEAKS = (
    "/payments?account_id=eq.b",
    "/payments?account_id=neq.a",
    "/payments?or=(account_id.eq.b,and(account_id.eq.b,id.not.is.null))",
    "/transactions?account_id=in.(b)",
    "/accounts?id=not.eq.a&select=*,payments(*)",
    "/accounts?select=*,payments!inner(*)&payments.account_id=eq.b",
    "/payments?select=id,accounts!inner(id)&accounts.id=eq.b",
    "/topups?select=*,payments!inner(*)&payments.account_id=eq.b",
    "/balance?account_id=gt.a&order=account_id.desc&limit=1",
    "/usage?account_id=match.%5Eb",
)


def test_no_filter_order_or_embedding_finds_a_foreign_row(server: PostgREST) -> None:
    """The same question finds rows for who may see them."""
    for path in LEAKS:
        assert Api(server, MEMBER).rows(path) == [], path
        assert Api(server, BOTH).rows(path), path


def test_embedding_brings_the_own_rows_only(server: PostgREST) -> None:
    found = Api(server, MEMBER).rows("/accounts?select=*,payments(*),invoices(*),topups(*,payments(*))")
    assert [row["id"] for row in found] == ["a"]
    for name in ("payments", "invoices", "topups"):
        assert {row["account_id"] for row in found[0][name]} == {"a"}
    assert {row["payments"]["account_id"] for row in found[0]["topups"]} == {"a"}


def test_counting_counts_the_own_rows_only(server: PostgREST) -> None:
    for caller, total in ((STRANGER, "*/0"), (NOBODY, "*/0"), (MEMBER, "0-0/1"), (BOTH, "0-1/2")):
        answer = Api(server, caller).ask("GET", "/balance", headers={"Prefer": "count=exact"})
        assert answer.headers["Content-Range"] == total


HIDDEN_COLUMNS = ("checkout_url", "reason", "stripe_customer_id", "stripe_payment_intent_id", "next_check_at")


def test_a_hidden_column_is_neither_shown_nor_asked_about(server: PostgREST) -> None:
    """Filtering and sorting would tell it letter by letter."""
    api = Api(server, OWNER)
    for column in HIDDEN_COLUMNS:
        assert all(column not in row for row in api.rows("/payments"))
        for question in (f"select={column}", f"{column}=is.null", f"select=id&order={column}"):
            for schema in ("api", "billing"):
                answer = api.ask("GET", f"/payments?{question}", schema)
                assert answer.status_code >= 400, (schema, question)
                assert answer.json()["code"] in {"42501", "42703"}, answer.text


def test_nothing_secret_is_in_anything_that_an_owner_reads(server: PostgREST) -> None:
    api = Api(server, OWNER)
    everything = json.dumps([api.rows(f"/{view}") for view in VIEWS])
    for secret in ("checkout.example.com", "secret_a", "cus_a", "fp_a", "stolen_card"):
        assert secret not in everything


def test_a_token_that_is_not_ours_is_refused(server: PostgREST) -> None:
    now = int(time.time())
    claims = {"role": "authenticated", "sub": OWNER.sub, "exp": now + 600}
    forged = bearer(claims, "another secret that is long enough to be one")
    unsigned = {"Authorization": f"Bearer {jwt.encode(claims, None, algorithm='none')}"}
    expired = bearer(claims | {"exp": now - 600}, server.secret)
    promoted = bearer(claims | {"role": "postgres"}, server.secret)
    for headers in (forged, unsigned, expired, promoted):
        answer = httpx.get(f"{server.url}/balance", headers=headers | {"Accept-Profile": "api"})
        assert answer.status_code in (401, 403), answer.text
    assert httpx.get(f"{server.url}/balance", headers={"Accept-Profile": "api"}).status_code == 401


def test_the_example_of_the_documents_works(books: Books, supabase_api: SupabaseGateway) -> None:
    client = supabase.create_client(supabase_api.url, supabase_api.publishable_key)
    client.postgrest.auth(supabase_api.token("authenticated", sub=MEMBER.sub))
    balance = client.schema("api").table("balance").select("*").eq("account_id", "a").single().execute().data
    assert balance["available"] == 193.5
    page = client.schema("api").table("transactions").select("id, credits, created_at").eq("account_id", "a")
    rows = page.order("id", desc=True).limit(2).execute().data
    assert [row["credits"] for row in rows] == [100, -1.5]
