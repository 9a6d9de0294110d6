"""Texts that others choose: names of accounts, reasons, metadata, whatever stands in them. Nothing crashes, nothing is lost,
and on the pages they are text.
"""

from __future__ import annotations

import csv
import html
import io
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse

from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import OPERATOR, rows, token_of
from tests.web.conftest import Counts, KeyMaker, make_settings
from web import limits
from web.local_login import login_url, operator_url

TAKEN = {
    "sql": "'; drop table billing.credit_lots; --",
    "sql in a dollar quote": "$$; delete from billing.payments; $$",
    "markup": "</td></script><script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "template": "{{7*7}}{% raw %}${7*7}",
    "zero width": "Ac\u200bme\u2060\ufeff",
    "right to left": "\u202egro.live\u202c \u05e2\u05d1\u05e8\u05d9\u05ea",
    "astral and combining": "\N{GRINNING FACE}e\u0301\u0301\u0301",
    "formula": '=cmd|"/c calc"!A1',
    "percent": "%s %(x)s %00 \\x00 \\",
}
REFUSED = {
    "nul": "a\0b",
    "a megabyte": "x" * 2**20,
    "line": "a\r\nSet-Cookie: a=b",
    "lone surrogate": "\ud800",
}
PAGES = (
    "/billing",
    "/billing/live",
    "/billing/history",
    "/billing/statement",
    "/billing/usage?by=agent",
    "/billing/limits",
)


@pytest.fixture
def settings(dsn: str, redis_url: str) -> Settings:
    return make_settings(dsn, redis_url, OPERATORS=OPERATOR)


def enter(app: Flask, link: str) -> FlaskClient:
    browser, url = app.test_client(), urlsplit(link)
    assert browser.get(f"{url.path}?{url.query}").status_code == 303
    return browser


@pytest.mark.parametrize("kind", TAKEN)
def test_85_hostile_texts_are_kept_as_they_are_and_shown_as_text(
    app: Flask, client: FlaskClient, key: KeyMaker, settings: Settings, ledger: Ledger, kind: str
) -> None:
    text, token = TAKEN[kind], key()
    made = client.post(
        "/api/accounts", json={"id": "it", "name": text, "email": "a@b.example"}, headers=token
    )
    assert made.status_code == 201
    used = {
        "account_id": "it",
        "id": "u1",
        "amount": "1",
        "metadata": {text: [text]},
        "dimensions": {text: text},
    }
    named = text if text.isprintable() else "plain"  # of names in usage, only printable ones are taken
    used |= {"agent": named, "run_id": named, "department_id": named}
    assert client.post("/api/credits/use", json=used, headers=token).status_code == 200
    held = {"account_id": "it", "amount": "1", "id": "h1", "agent": named, "metadata": {"x": text}}
    assert client.post("/api/credits/holds", json=held, headers=token).status_code == 201
    reason = {"account_id": "it", "amount": "-2", "reason": text}
    assert client.post("/api/credits/adjustments", json=reason, headers=token).status_code == 201
    limit = {"account_id": "it", "scope": "agent", "scope_id": named, "window": "day", "credits": "50"}
    assert client.put("/api/credits/limits", json=limit, headers=token).status_code == 200
    (event,) = client.get("/api/credits/usage?account_id=it", headers=token).json["data"]
    assert (event["metadata"], event["agent"]) == ({text: [text]}, named)
    assert ledger.get_account("it")["name"] == text
    assert ledger.get_balance("it")["available"] == 96_000_000
    owner, operator = enter(app, login_url(settings, "it")), enter(app, operator_url(settings, OPERATOR))
    for browser, path in [*((owner, path) for path in PAGES), (operator, "/ops/accounts/it")]:
        page = browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert 'onmouseover="' not in page.text
        assert ">49<" not in page.text
        assert "49$" not in page.text
        if path in ("/billing", "/ops/accounts/it"):
            assert str(html.escape(text)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page.text
    for file in ("history.csv", "statement.csv", "usage.csv?by=agent"):
        cells = [
            cell for line in csv.reader(io.StringIO(owner.get(f"/billing/{file}").text)) for cell in line
        ]
        assert len(cells) > 3
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    assert ledger.check_invariants() == []


@pytest.mark.parametrize("kind", REFUSED)
def test_85_texts_that_nothing_can_hold_are_refused_and_nothing_moves(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts, database: Database, kind: str
) -> None:
    text, token = REFUSED[kind], key()
    before = money()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/api/accounts", {"id": "it", "name": text, "email": "a@b.example"}),
        ("/api/accounts", {"id": "it", "name": "It", "email": f"a@{text}"}),
        ("/api/credits/adjustments", {"account_id": acme, "amount": "1", "reason": text}),
        ("/api/credits/use", {"account_id": acme, "id": "u", "amount": "1", "agent": text}),
    ]
    if kind != "line":  # metadata may have lines
        calls.append(
            ("/api/credits/use", {"account_id": acme, "id": "u", "amount": "1", "metadata": {"a": text}})
        )
    for path, body in calls:
        answer = client.post(path, json=body, headers=token)
        assert answer.status_code in (413, 422), path
        assert "Set-Cookie" not in answer.headers
        assert len(answer.text) < 2000
    assert money() == before
    assert rows(database, "select count(*) from billing.credit_lots") == [(1,)]


def test_85_forms_of_pages_take_hostile_texts_as_text(
    app: Flask, settings: Settings, acme: str, money: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("PER_ACCOUNT", "PER_MEMBER", "PER_ADDRESS"):
        monkeypatch.setattr(limits, limit, parse("1000 per minute"))
    owner = enter(app, login_url(settings, acme))
    token = token_of(owner.get("/billing").text)
    before = money()
    for text in (*TAKEN.values(), "a\0b", "x" * 100_000, "a\r\nb"):
        for path, form in (
            ("checkout", {"request_id": "form_0", "package_id": text}),
            ("checkout", {"request_id": text, "package_id": "credits_100"}),
            ("limits/holds/release", {"hold_id": text}),
            ("account", {"account_id": text}),
            ("members", {"user_id": text, "role": "member"}),
            ("notices/webhooks/remove", {"id": text}),
            ("buy/" + text.replace("/", "").replace("\\", "").replace("\r\n", "")[:300] + "/cancel", {}),
        ):
            answer = owner.post(f"/billing/{path}", data={"csrf_token": token} | form)
            assert answer.status_code in (303, 404, 422), (path, text[:50])
            assert "<script>alert" not in owner.get("/billing/limits").text
            assert "<script>alert" not in answer.text
    assert money() == before
