"""Limits and quotes over HTTP, and what a refusal by a limit says and announces, over the real ledger."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.errors import DatabaseUnavailable
from shared.ledger import Ledger
from tests.support import Database
from tests.web.conftest import ALL_SCOPES, Counts, KeyMaker

LIMITS, HOLDS, USE, QUOTE = (f"/api/credits/{name}" for name in ("limits", "holds", "use", "quote"))
DAILY = {"scope": "agent", "scope_id": "writer", "window": "day", "credits": "10"}
WHO = {"department": "department_id", "member": "member_id", "agent": "agent"}


@pytest.fixture
def token(key: KeyMaker, acme: str) -> dict[str, str]:
    return key(ALL_SCOPES, acme)


def put(client: FlaskClient, token: dict[str, str], **change: Any) -> TestResponse:
    return client.put(LIMITS, json=DAILY | change, headers=token)


def shown(client: FlaskClient, token: dict[str, str]) -> list[dict[str, Any]]:
    found = client.get(LIMITS, headers=token).json
    assert found["next_cursor"] is None
    data: list[dict[str, Any]] = found["data"]
    return data


def notices(database: Database) -> list[str]:
    with database.connect() as connection:
        rows = connection.execute("select topic from billing.outbox where topic like 'limit.%'").fetchall()
    return [row[0] for row in rows]


def test_limit_is_set_shown_with_its_use_and_removed(client: FlaskClient, token: dict[str, str]) -> None:
    client.post(USE, json={"action": "chat", "agent": "writer"}, headers=token)
    client.post(HOLDS, json={"amount": "3", "agent": "writer"}, headers=token)
    limit = put(client, token)
    assert limit.status_code == 200
    row = limit.json
    assert shown(client, token) == [row]
    window = {name: row.pop(name) for name in ("window_started_at", "resets_at")}
    assert window["window_started_at"] < window["resets_at"]
    assert row == {
        "account_id": "acme", "scope": "agent", "scope_id": "writer", "window": "day", "credits": "10", "hard": True,
        "used": "2.5", "held": "3", "left": "4.5",
    }  # fmt: skip
    removed = put(client, token, credits=None)
    assert removed.status_code == 200
    assert (removed.json["scope_id"], removed.json["credits"], removed.json["left"]) == ("writer", None, None)
    assert shown(client, token) == []


@pytest.mark.parametrize("scope", WHO)
@pytest.mark.parametrize("window", ["day", "week", "month"])
def test_hard_limit_refuses_with_everything_a_caller_needs(
    client: FlaskClient, token: dict[str, str], money: Counts, database: Database, scope: str, window: str
) -> None:
    limit = put(client, token, scope=scope, window=window).json
    who = {WHO[scope]: "writer"}
    assert client.post(USE, json={"action": "chat", "quantity": 3} | who, headers=token).status_code == 200
    before = money()
    for where, body in ((USE, {"action": "chat", "quantity": 2}), (HOLDS, {"amount": "5"})):
        response = client.post(where, json=body | who, headers=token)
        assert (response.status_code, response.mimetype) == (402, "application/problem+json")
        names = ("code", "binding", "scope_id", "window", "needed", "available", "topup", "resets_at")
        assert {name: response.json[name] for name in names} == {
            "code": "limit_reached", "binding": scope, "scope_id": "writer", "window": window, "needed": "5",
            "available": "2.5", "topup": None, "resets_at": limit["resets_at"],
        }  # fmt: skip
        assert response.json["purchase_url"].endswith("/billing#buy")
    after = money()
    # Only the announcement, once a window.
    assert {table for table in before if before[table] != after[table]} == {"outbox", "credit_limits"}
    assert notices(database) == ["limit.reached"]


def test_refusal_of_a_reserve_is_announced_too(
    client: FlaskClient, token: dict[str, str], database: Database
) -> None:
    put(client, token)
    client.post(HOLDS, json={"id": "h", "amount": "8", "agent": "writer"}, headers=token)
    draw = {"amount": "1", "final": False, "id": "d", "reserve": "5"}
    refusal = client.post(f"{HOLDS}/h/settle", json=draw, headers=token).json["refusal"]
    facts = {name: refusal[name] for name in ("code", "binding", "scope_id", "window", "needed", "available")}
    assert facts == {
        "code": "limit_reached",
        "binding": "agent",
        "scope_id": "writer",
        "window": "day",
        "needed": "5",
        "available": "2",
    }
    assert notices(database) == ["limit.reached"]


def test_announcement_that_fails_is_logged_and_changes_no_answer(
    client: FlaskClient,
    token: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    database: Database,
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseUnavailable("away")

    put(client, token)
    monkeypatch.setattr(Ledger, "announce_limit", fail)
    with caplog.at_level(logging.WARNING):
        response = client.post(USE, json={"action": "chat", "quantity": 5, "agent": "writer"}, headers=token)
    assert (response.status_code, response.json["code"]) == (402, "limit_reached")
    assert "could not be announced" in caplog.text
    assert notices(database) == []


def test_refusal_by_balance_or_run_announces_no_limit(
    client: FlaskClient, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(Ledger, "announce_limit", lambda *arguments: asked.append(arguments))
    client.post(HOLDS, json={"id": "run", "amount": "1"}, headers=token)
    for body in ({"action": "chat", "quantity": 50}, {"action": "chat", "hold_id": "run"}):
        assert client.post(USE, json=body, headers=token).status_code == 402
    assert asked == []


def test_soft_limit_refuses_nothing_and_announces(
    client: FlaskClient, token: dict[str, str], database: Database
) -> None:
    assert put(client, token, hard=False).json["hard"] is False
    body = {"action": "chat", "quantity": 5, "agent": "writer"}
    assert client.post(USE, json=body, headers=token).status_code == 200
    assert notices(database) == ["limit.reached"]


def test_usage_that_happened_is_booked_beyond_a_hard_limit(
    client: FlaskClient, token: dict[str, str]
) -> None:
    put(client, token)
    event = {"id": "e", "action": "chat", "quantity": 8, "agent": "writer"}
    assert client.post("/api/credits/usage", json=event, headers=token).json["accepted"] == 1
    assert (shown(client, token)[0]["used"], shown(client, token)[0]["left"]) == ("20", "0")


def test_setting_a_limit_wants_admin_and_reading_read(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    others = key([scope for scope in ALL_SCOPES if scope != "admin"], acme)
    refused = put(client, others)
    assert (refused.status_code, refused.json["scope"]) == (403, "admin")
    assert client.get(LIMITS, headers=key(["admin"], acme)).status_code == 403
    assert shown(client, others) == []


def test_unbound_key_names_the_account(client: FlaskClient, key: KeyMaker, acme: str, money: Counts) -> None:
    unbound = key()
    before = money()
    assert put(client, unbound).json["code"] == "account_required"
    assert put(client, unbound, account_id="nobody").json["code"] == "unknown_account"
    assert client.get(f"{LIMITS}?account_id=nobody", headers=unbound).status_code == 404
    assert money() == before
    assert put(client, unbound, account_id=acme).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        *({"credits": amount} for amount in (0, "0", -1, "-1", 1.5, "1e3", True, 2**63, "", [])),
        {"scope": "account"},
        {"scope": None},
        {"scope_id": ""},
        {"scope_id": "a\0b"},
        {"scope_id": 5},
        {"window": "hour"},
        {"hard": "yes"},
        {"hard": None},
        {"other": 1},
    ],
)
def test_wrong_limits_are_422_and_change_nothing(
    client: FlaskClient, token: dict[str, str], money: Counts, change: dict[str, Any]
) -> None:
    before = money()
    assert put(client, token, **change).status_code == 422
    missing = client.put(LIMITS, json={k: v for k, v in DAILY.items() if k != "credits"}, headers=token)
    assert missing.status_code == 422
    assert money() == before


def test_quote_says_the_price_and_every_bound_and_changes_nothing(
    client: FlaskClient, token: dict[str, str], money: Counts
) -> None:
    limit = put(client, token).json
    before = money()
    body = {"action": "chat", "quantity": 5, "agent": "writer"}
    quoted = client.post(QUOTE, json=body, headers=token)
    assert quoted.status_code == 200
    nothing = dict.fromkeys(("hold_id", "scope_id", "window", "resets_at"))
    assert quoted.json == {
        "credits": "12.5", "available": "10", "sufficient": False, "binding": "agent", "status": "active",
        "bounds": [
            nothing | {"binding": "agent", "available": "10", "scope_id": "writer", "window": "day",
                       "resets_at": limit["resets_at"]},
            nothing | {"binding": "balance", "available": "100"},
        ],
    }  # fmt: skip
    assert client.post(QUOTE, json={"action": "chat"}, headers=token).json["sufficient"] is True
    assert client.post(QUOTE, json={"amount": "100.000001"}, headers=token).json["sufficient"] is False
    assert money() == before


def test_quote_for_a_run_is_bound_by_its_hold(client: FlaskClient, token: dict[str, str]) -> None:
    client.post(HOLDS, json={"id": "run", "amount": "3"}, headers=token)
    quoted = client.post(QUOTE, json={"amount": "4", "hold_id": "run"}, headers=token).json
    assert (quoted["binding"], quoted["available"], quoted["sufficient"]) == ("run", "3", False)
    assert [(bound["binding"], bound["hold_id"]) for bound in quoted["bounds"]] == [("run", "run")]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"action": "unpriced"}, 422, "unknown_action"),
        ({"action": "chat", "hold_id": "none"}, 404, "not_found"),
        ({"action": "chat", "account_id": "other"}, 404, "unknown_account"),
        ({}, 422, "invalid_request"),
        ({"amount": "0"}, 422, "invalid_request"),
        ({"action": "chat", "quantity": 0}, 422, "invalid_request"),
        ({"action": "chat", "id": "x"}, 422, "invalid_request"),
    ],
)
def test_quotes_that_cannot_be_given_are_refused(
    client: FlaskClient, token: dict[str, str], body: dict[str, Any], status: int, code: str
) -> None:
    response = client.post(QUOTE, json=body, headers=token)
    assert (response.status_code, response.json["code"]) == (status, code)
