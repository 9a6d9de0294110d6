"""Every field of every body with every kind of wrong value: a code, and nothing changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import Counts, KeyMaker

NAN, HUGE = "@NaN@", "@1e30@"
NUMBERS = (0, -1, 1.5, NAN, HUGE, 2**63, 10**40, True, "", "x", [], {})
TEXTS = (0, -1, 1.5, NAN, True, "", "x" * 1_000_000, "a\0b", "\ud800", [], {})
AMOUNTS = (
    0,
    "0",
    -1,
    "-1",
    1.5,
    NAN,
    HUGE,
    2**63,
    "1e3",
    "NaN",
    "Infinity",
    "\N{FULLWIDTH DIGIT ONE}",
    "1.0000001",
    True,
    "",
    "1" * 1_000_000,
    "1\0",
    [],
    {},
)
OBJECTS = (1, "x", True, [], [1], {"a": NAN}, {"a": "x" * 9000}, {"a": "\0"}, {"a": "\ud800"}, {"\0": 1})
MONEY = (
    5,
    "5",
    {},
    {"amount": 0, "currency": "usd"},
    {"amount": 5.5, "currency": "usd"},
    {"amount": 5, "currency": "US"},
)

USE = {"account_id": "acme", "id": "x1", "action": "chat"}
EVENT = {"account_id": "acme", "id": "x1", "action": "chat"}
ACCOUNT = {"id": "new", "name": "New", "email": "a@b.example"}
CHECKOUT = {"account_id": "acme", "package_id": "credits_100"}
ADJUST = {"account_id": "acme", "amount": "1", "reason": "because"}
TOPUP = {
    "account_id": "acme",
    "enabled": True,
    "threshold": "50",
    "amount": "250",
    "consent": {"text_version": "1"},
}
LIMIT = {"account_id": "acme", "scope": "agent", "scope_id": "a", "window": "day", "credits": "1"}
NAMES = ("agent", "agent_type", "department_id", "member_id", "run_id")

CASES: list[tuple[str, str, dict[str, Any], dict[str, tuple[Any, ...]]]] = [
    (
        "POST",
        "/api/credits/use",
        USE,
        {
            "account_id": TEXTS,
            "id": TEXTS,
            "action": TEXTS,
            "quantity": NUMBERS,
            "amount": AMOUNTS,
            **dict.fromkeys(NAMES, TEXTS),
            "dimensions": OBJECTS,
            "metadata": OBJECTS,
        },
    ),
    (
        "POST",
        "/api/credits/usage",
        EVENT,
        {
            "account_id": TEXTS,
            "id": TEXTS,
            "action": TEXTS,
            "quantity": NUMBERS,
            "amount": AMOUNTS,
            **dict.fromkeys(NAMES, TEXTS),
            "dimensions": OBJECTS,
            "metadata": OBJECTS,
            "occurred_at": TEXTS,
        },
    ),
    (
        "POST",
        "/api/credits/holds",
        USE,
        {
            "account_id": TEXTS,
            "id": TEXTS,
            "parent_id": (*TEXTS, "none"),
            "quantity": NUMBERS,
            "amount": AMOUNTS,
            "expires_in": (*NUMBERS, 86_401),
            **dict.fromkeys(NAMES, TEXTS),
            "dimensions": OBJECTS,
            "metadata": OBJECTS,
        },
    ),
    (
        "POST",
        "/api/credits/quote",
        {"account_id": "acme", "action": "chat"},
        {
            "account_id": TEXTS,
            "action": TEXTS,
            "hold_id": (*TEXTS, "none"),
            "amount": AMOUNTS,
            "agent": TEXTS,
        },
    ),
    (
        "PUT",
        "/api/credits/limits",
        LIMIT,
        {
            "account_id": TEXTS,
            "scope": (*TEXTS, "run"),
            "scope_id": TEXTS,
            "window": (*TEXTS, "year"),
            "credits": AMOUNTS,
            "hard": (0, 1, "true", None, [], {}),
        },
    ),
    (
        "PUT",
        "/api/billing/actions",
        {"account_id": "acme", "action": "paint", "credits": "1"},
        {
            "account_id": TEXTS,
            "action": TEXTS,
            "credits": AMOUNTS,
            "model": TEXTS,
            "unit": TEXTS,
            "description": TEXTS,
            "effective_from": TEXTS,
            "rates": OBJECTS,
            "retire": (0, 1, "true", None, [], {}),
        },
    ),
    (
        "POST",
        "/api/accounts",
        ACCOUNT,
        {
            "id": (*TEXTS, "a b", "../x", "-x", "a\n", "\u200bx"),
            "name": TEXTS,
            "owner_id": (*TEXTS, "me"),
            "email": (*TEXTS, "nobody", "a@b c", "a@b\n"),
        },
    ),
    (
        "POST",
        "/api/billing/checkout-sessions",
        CHECKOUT,
        {
            "account_id": TEXTS,
            "package_id": TEXTS,
            "quantity": (*NUMBERS, 1001),
            "success_url": (
                *TEXTS,
                "https://evil.example/",
                "//evil.example",
                "javascript:alert(1)",
                "http://localhost:8000@evil.example/",
                "http://localhost:8000\\@evil.example/",
                "http://localhost:80000/",
                "http://[",
            ),
            "cancel_url": ("https://evil.example/", "http://localhost:8000.evil.example/"),
        },
    ),
    (
        "POST",
        "/api/credits/adjustments",
        ADJUST,
        {
            "account_id": TEXTS,
            "amount": (0, "0", "-0", "--1", 1.5, NAN, HUGE, 2**63, "1e3", True, "", [], {}),
            "reason": TEXTS,
            "actor": TEXTS,
        },
    ),
    (
        "PUT",
        "/api/billing/auto-topup",
        TOPUP,
        {
            "account_id": TEXTS,
            "enabled": (0, 1, "true", None, [], {}),
            "threshold": tuple(v for v in AMOUNTS if v not in (0, "0")),
            "mode": (1, "other", "", []),
            "amount": AMOUNTS,
            "target": AMOUNTS,
            "package_id": TEXTS,
            "caps": (
                1,
                "x",
                [],
                {"day": 5},
                {"per_hour": 0},
                {"per_hour": 11},
                {"per_hour": 1.5},
                {"week": 1},
                *({"day": m} for m in MONEY),
                {"day": {"amount": 5, "currency": "usd"}, "month": {"amount": 9, "currency": "eur"}},
            ),
            "consent": (
                1,
                "x",
                [],
                {},
                {"text_version": ""},
                {"text_version": 1},
                {"text_version": "x" * 101},
            ),
        },
    ),
    (
        "POST",
        "/api/billing/webhook-endpoints",
        {"account_id": "acme", "url": "https://platform.example/"},
        {
            "account_id": TEXTS,
            "url": (*TEXTS, None),
            "topics": (1, "x", [], ["x"], [1], {}, ["webhook.test"]),
        },
    ),
    (
        "PUT",
        "/api/billing/notice-preferences",
        {"account_id": "acme", "topic": "topup.succeeded", "enabled": True},
        {
            "account_id": TEXTS,
            "topic": (*TEXTS, None),
            "channel": (1, "slack", "", []),
            "enabled": (0, 1, "true", None),
        },
    ),
    (
        "PUT",
        "/api/credits/low-balance-levels",
        {"account_id": "acme", "levels": ["5"]},
        {
            "account_id": TEXTS,
            "levels": (None, 1, "x", {}, ["1"] * 6, *([value] for value in AMOUNTS if value not in (0, "0"))),
        },
    ),
]


def encode(body: Any) -> bytes:
    text = json.dumps(body)
    return text.replace(f'"{NAN}"', "NaN").replace(f'"{HUGE}"', "1e30").encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_74_85_wrong_values_get_a_code_and_change_nothing(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts, case: Any
) -> None:
    method, path, good, fields = case
    token = key() | {"Content-Type": "application/json"}
    before = money()
    wrong = [good | {name: value} for name, values in fields.items() for value in values]
    wrong += [good | {"unknown_field": 1}, {}, [], None, 1, "x"]
    wrong += [
        {k: v for k, v in good.items() if k != name} | {name: None}
        for name in good
        if name in ("name", "amount")
    ]
    for body in wrong:
        response = client.open(path, method=method, data=encode(body), headers=token)
        shown = json.dumps(body)[:120]
        assert 400 <= response.status_code < 500, (shown, response.status_code)
        assert response.mimetype == "application/problem+json", shown
        assert response.json["code"], shown
        assert "x" * 1000 not in response.text, shown
    assert money() == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_unknown_account_is_404_and_changes_nothing(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts, case: Any
) -> None:
    method, path, good, _ = case
    if path == "/api/accounts":
        return
    before = money()
    response = client.open(path, method=method, json=good | {"account_id": "nobody"}, headers=key())
    assert (response.status_code, response.json["code"]) == (404, "unknown_account")
    assert money() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"\xff", 400, "malformed_json"),
        (b'{"a": 1, "a": 2}', 400, "malformed_json"),
        (b'{"a": NaN}', 400, "malformed_json"),
        (b'{"a": 1e999}', 400, "malformed_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "malformed_json"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b" " * 200_000, 413, "body_too_large"),
    ],
)
def test_bodies_that_are_not_json(
    client: FlaskClient, key: KeyMaker, body: bytes, status: int, code: str
) -> None:
    headers = key() | {"Content-Type": "application/json"}
    response = client.post("/api/credits/use", data=body, headers=headers)
    assert (response.status_code, response.json["code"]) == (status, code)


def test_other_content_types_and_chunked_bodies_are_refused(client: FlaskClient, key: KeyMaker) -> None:
    token = key()
    for path in ("/api/credits/use", "/api/credits/usage"):
        form = client.post(path, data={"action": "chat"}, headers=token)
        assert (form.status_code, form.json["code"]) == (415, "unsupported_media_type")
        chunked = client.post(
            path,
            headers=token | {"Content-Type": "application/json"},
            environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        )
        assert (chunked.status_code, chunked.json["code"]) == (411, "length_required")


@pytest.mark.parametrize("path", ["transactions", "usage", "lots"])
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "cursor=", "cursor=%00", "cursor=x", "other=1"],
)
def test_wrong_queries_are_refused(
    client: FlaskClient, key: KeyMaker, acme: str, path: str, query: str
) -> None:
    response = client.get(f"/api/credits/{path}?account_id=acme&{query}", headers=key())
    assert response.status_code == 422
    assert response.json["code"] in ("invalid_request", "invalid_value")


def test_errors_name_their_fields(client: FlaskClient, key: KeyMaker) -> None:
    response = client.post("/api/credits/use", json={"quantity": 0, "dimensions": 1}, headers=key())
    assert {error["field"] for error in response.json["errors"]} == {"quantity", "dimensions"}
