"""A key that is bound to an account acts in no other one, wherever an account can be named or left out.

Walks every endpoint that takes an API key. One that names no account must have its decision in WITHOUT_ACCOUNT, so a new
endpoint fails here until somebody has decided.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared import keys
from shared.ledger import Ledger
from tests.support import Database
from tests.web.conftest import ALL_SCOPES, KeyMaker
from web.endpoints import REGISTRY, Endpoint

KEYED = [endpoint for endpoint in REGISTRY if endpoint.scope]
CREDIT = 1_000_000
DENIED = {403, 404}
# What names no account at all; the status for a bound key. 2xx: it is about the key's own account alone, tested below.
WITHOUT_ACCOUNT = {
    "POST /api/accounts": 403,
    "POST /api/credits/adjustments/{id}/approve": 404,
    "POST /api/credits/adjustments/{id}/reject": 404,
    "DELETE /api/billing/webhook-endpoints/{id}": 404,
    "POST /api/billing/webhook-endpoints/{id}/enable": 404,
    "POST /api/billing/webhook-endpoints/{id}/test": 404,
    "POST /api/billing/webhook-endpoints/{id}/roll-secret": 404,
    "GET /api/billing/webhook-endpoints/{id}/deliveries": 404,
    "POST /api/billing/webhook-endpoints/{id}/replay": 404,
    "GET /api/accounts/{id}/members": 404,
    "PUT /api/accounts/{id}/members": 404,
    "DELETE /api/accounts/{id}/members": 404,
    "PATCH /api/accounts/{id}": 404,
    "POST /api/credits/usage": 404,
}
# What is the platform's alone: refused to a bound key, whatever account it names.
PLATFORM = {"PUT /api/billing/actions"}
# Bodies for endpoints whose example needs more, or less.
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/credits/usage": {"id": "evt", "action": "chat"},
    "PUT /api/accounts/{id}/members": {"user_id": "00000000-0000-4000-8000-00000000000f", "role": "owner"},
    "POST /api/accounts": {"name": "Mine too", "email": "me@example.com"},
}
QUERIES = {
    "GET /api/billing/purchase-quote": "&package_id=credits_250",
    "DELETE /api/accounts/{id}/members": "?user_id=00000000-0000-4000-8000-00000000000f",
}


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def names_account(endpoint: Endpoint) -> str | None:
    """Where the endpoint takes an account: query, body, or nowhere."""
    if endpoint.query and "account_id" in endpoint.query.model_fields:
        return "query"
    return "body" if endpoint.body and "account_id" in endpoint.body.model_fields else None


def body_of(endpoint: Endpoint) -> dict[str, Any] | None:
    if endpoint.method in ("GET", "DELETE"):
        return None
    found = dict(BODIES.get(name(endpoint), endpoint.example or {}))
    found.pop("account_id", None)
    return found


@pytest.fixture
def foreign(ledger: Ledger, acme: str) -> dict[str, str]:
    """Things of account `other`, by the path that names them."""
    assert acme
    ledger.open_account("other", "Other", "o@o.example", None, 50 * CREDIT, "tests")
    ledger.place_hold("other", {"id": "h1", "amount": CREDIT})
    ledger.request_adjustment("adj_" + "1" * 32, "other", 5 * CREDIT, "reason", "api_key:x", "x")
    endpoint = "whe_" + "1" * 32
    ledger.create_webhook_endpoint(
        endpoint, "other", "https://o.example/hook", None, keys.new_webhook_secret(), "tests"
    )
    lot = ledger.list_lots("other", 1, None)["data"][0]["id"]
    return {
        "/api/accounts": "other",
        "/api/credits/holds": "h1",
        "/api/credits/adjustments": "adj_" + "1" * 32,
        "/api/billing/webhook-endpoints": endpoint,
        "/api/credits/lots": f"lot_{lot}",
        "/api/billing/payment-methods": "pm_other",
    }


Untouched = Callable[[], None]


@pytest.fixture
def untouched(database: Database, foreign: dict[str, str]) -> Untouched:
    """Asserts that nothing of another account than acme has changed, and that no account was opened."""
    assert foreign

    def read() -> dict[str, Any]:
        with database.connect() as connection:
            tables = connection.execute(
                "select table_name from information_schema.columns where table_schema = 'billing'"
                " and column_name = 'account_id' and table_name in"
                " (select tablename from pg_tables where schemaname = 'billing') and table_name <> 'api_keys'"
            ).fetchall()
            found = {
                table: connection.execute(
                    f"select count(*), sum(hashtextextended(t::text, 0)::numeric) from billing.{table} t"
                    " where account_id <> 'acme'"
                    # Keys that the test makes for its own calls are not what it looks for.
                    + (" and action not like 'api_key.%'" if table == "audit_log" else "")
                ).fetchone()
                for (table,) in tables
            }
            found["accounts"] = connection.execute(
                "select array_agg(t order by id) filter (where id <> 'acme'), count(*) from billing.accounts t"
            ).fetchone()
            return found

    before = read()

    def check() -> None:
        assert read() == before

    return check


def filled(path: str, foreign: dict[str, str]) -> str:
    """The path with the foreign thing's id in it."""
    return path.replace("{id}", foreign[path.partition("/{id}")[0]]) if "{id}" in path else path


def test_every_endpoint_has_a_decision() -> None:
    undecided = {name(e) for e in KEYED if names_account(e) is None} - set(WITHOUT_ACCOUNT) - PLATFORM
    assert undecided == set(), "say what a bound key may do there"
    assert set(WITHOUT_ACCOUNT) | PLATFORM <= {name(e) for e in KEYED}


@pytest.mark.parametrize("endpoint", KEYED, ids=name)
def test_a_bound_key_reaches_no_other_account(
    client: FlaskClient, key: KeyMaker, foreign: dict[str, str], untouched: Untouched, endpoint: Endpoint
) -> None:
    headers, path, body = key(ALL_SCOPES, "acme"), filled(endpoint.path, foreign), body_of(endpoint)
    place, query = names_account(endpoint), QUERIES.get(name(endpoint), "")
    if place == "query":
        query = f"?account_id=other{query}"
    elif name(endpoint) == "POST /api/credits/usage" or place == "body":
        body = {**(body or {}), "account_id": "other"}
    answer = client.open(path + query, method=endpoint.method, headers=headers, json=body)
    assert answer.status_code in DENIED, answer.json
    assert answer.json["code"] in ("unknown_account", "not_found", "key_bound", "scope_missing")
    if place is None and name(endpoint) in WITHOUT_ACCOUNT:
        assert answer.status_code == WITHOUT_ACCOUNT[name(endpoint)]
    assert "Other" not in answer.text
    untouched()


@pytest.mark.parametrize("endpoint", [e for e in KEYED if names_account(e)], ids=name)
def test_left_out_the_account_is_the_keys_own(
    app: Flask, key: KeyMaker, foreign: dict[str, str], untouched: Untouched, endpoint: Endpoint
) -> None:
    # What is not known to acme, and Stripe that is not there, may be refused; another account is never meant.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = app.test_client().open(
        filled(endpoint.path, foreign),
        method=endpoint.method,
        headers=key(ALL_SCOPES, "acme"),
        json=body_of(endpoint),
    )
    assert "Other" not in answer.text
    assert "other" not in str((answer.json or {}).get("account_id"))
    if "{id}" in endpoint.path:
        assert answer.status_code in (404, 422, 500), "the foreign thing is not found"
    untouched()


CLOUD: dict[str, Any] = {"specversion": "1.0", "type": "refill.usage", "source": "tests", "id": "c1"}


@pytest.mark.parametrize(
    "event",
    [
        {"id": "e1", "action": "chat", "account_id": "other"},
        {**CLOUD, "subject": "other", "data": {"action": "chat"}},
        {**CLOUD, "data": {"action": "chat", "account_id": "other"}},
        {**CLOUD, "subject": "acme", "data": {"action": "chat", "account_id": "other"}},
    ],
)
def test_no_event_of_a_bound_key_reaches_another_account(
    client: FlaskClient, key: KeyMaker, untouched: Untouched, event: dict[str, Any]
) -> None:
    headers = key(ALL_SCOPES, "acme")
    kind = "application/cloudevents+json" if "specversion" in event else "application/json"
    alone = client.post("/api/credits/usage", json=event, headers=headers, content_type=kind)
    assert (alone.status_code, alone.json["code"]) == (404, "unknown_account")
    own = {**event, "id": "own"} | ({"account_id": "acme"} if "specversion" not in event else {})
    own = own if "specversion" not in event else {**own, "subject": None, "data": {"action": "chat"}}
    batch = client.post("/api/credits/usage", json=[event, own], headers=headers)
    assert (batch.status_code, batch.json["accepted"]) == (200, 1)
    assert [row["code"] for row in batch.json["rejected"]] == ["unknown_account"]
    assert [row["account_id"] for row in batch.json["accounts"]] == ["acme"]
    untouched()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "New", "email": "new@example.com"},
        {"name": "New", "email": "new@example.com", "owner_id": "00000000-0000-4000-8000-00000000000f"},
        {"id": None, "name": "New", "email": "new@example.com"},
        {"id": "brand-new", "name": "New", "email": "new@example.com"},
        {"id": "other", "name": "New", "email": "new@example.com"},
    ],
)
def test_a_bound_key_opens_no_account_and_grants_nothing(
    client: FlaskClient, key: KeyMaker, untouched: Untouched, body: dict[str, Any]
) -> None:
    headers = key(["accounts"], "acme")
    for more in ({}, {"Idempotency-Key": "k"}):
        answer = client.post("/api/accounts", json=body, headers=headers | more)
        assert answer.status_code in DENIED
        assert answer.json["code"] == ("key_bound" if body.get("id") is None else "unknown_account")
    untouched()


def test_cursors_of_another_account_lead_nowhere(
    client: FlaskClient, key: KeyMaker, ledger: Ledger, untouched: Untouched
) -> None:
    headers = key(["read"], "acme")
    mine = {row["id"] for row in client.get("/api/credits/transactions", headers=headers).json["data"]}
    top = ledger.list_transactions("other", 1, None)["data"][0]["id"]
    paths = ("credits/transactions", "credits/lots", "credits/usage", "billing/payments", "billing/charges")
    for path in (*paths, "billing/invoices", "credits/holds"):
        answer = client.get(f"/api/{path}?cursor={top}", headers=headers)
        assert answer.status_code in (200, 404, 422)
        rows = (answer.json or {}).get("data", [])
        assert {row["id"] for row in rows if "transactions" in path} <= mine
        assert "Other" not in answer.text
    untouched()


def test_the_queues_messages_are_the_platforms_own_and_name_their_account(ledger: Ledger, acme: str) -> None:
    """The queue has no keys: whoever reaches Redis is the platform. Without an account an event is not booked."""
    result = ledger.record_usage(
        [{"id": "q1", "action": "chat", "quantity": 1, "occurred_at": dt.datetime.now(dt.UTC).isoformat()}],
        None,
    )
    assert result["accepted"] == 0
    assert [row["code"] for row in result["rejected"]] == ["unknown_account"]
    assert acme
