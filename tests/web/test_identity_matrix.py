"""Every route of the API, asked by everybody who should not, and by those who should: what each gets, and that a refusal
moves nothing. A route without a row here fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import stripe
from flask import Flask

from local.stripe.app import LocalStripe
from shared.ledger import Ledger
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.web.conftest import ALL_SCOPES, Counts, KeyMaker, make_settings
from tests.web.identity import ADMIN, MEMBER, OWNER, STRANGER, Issuer, issuing
from web import create_app
from web.endpoints import REGISTRY

UNAUTHENTICATED, NOT_THERE = (401, "unauthenticated"), (404, "unknown_account")
ROLE_MISSING, SCOPE_MISSING = (403, "role_missing"), (403, "scope_missing")
OK = (200, None)
CREATED = (201, None)
Outcome = tuple[int, str | None]


class Row(NamedTuple):
    """A route: who gets in, with what, and what those who get in are answered."""

    role: str | None
    """The least role that gets in; None: no member does."""
    done: Outcome = OK
    body: dict[str, Any] | None = None
    query: str = "account_id=acme"
    id: str = ""
    foreign_key: Outcome = NOT_THERE
    """What a key of another account is answered."""
    scopeless: Outcome = SCOPE_MISSING


PUBLIC = None
READ = Row("member")
MEMBERS = Row("owner", query="", id="acme")
CARD = Row("owner", (404, "not_found"), {"account_id": "acme"}, "", "pm_none")
HOLD = Row(None, OK, {"account_id": "acme"}, "", "h1")
# Endpoints of others and those that do not exist look the same.
HOOKS = "/api/billing/webhook-endpoints"
HOOK = Row(None, (404, "not_found"), {}, "", "whe_" + "0" * 32, foreign_key=(404, "not_found"))
USE = {"account_id": "acme", "action": "chat"}
BUY = {"account_id": "acme", "package_id": "credits_100"}
ROWS: dict[tuple[str, str], Row | None] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("POST", "/api/webhooks/stripe"): PUBLIC,  # it has a signature of its own
    ("GET", "/api/billing/packages"): PUBLIC,
    ("GET", "/api/billing/plans"): PUBLIC,
    ("GET", "/api/billing/actions"): PUBLIC,
    ("GET", "/api/me"): Row("any", query=""),
    ("POST", "/api/accounts"): Row(None, OK, {"id": "acme", "name": "A", "email": "a@b.example"}, ""),
    ("PATCH", "/api/accounts/{id}"): MEMBERS._replace(body={"name": "Acme"}),
    ("POST", "/api/accounts/{id}/unfreeze"): Row(None, (403, "key_bound"), {"reason": "r"}, "", "acme"),
    ("GET", "/api/accounts/{id}/members"): MEMBERS,
    ("PUT", "/api/accounts/{id}/members"): MEMBERS._replace(body={"user_id": OWNER, "role": "owner"}),
    ("DELETE", "/api/accounts/{id}/members"): MEMBERS._replace(query=f"user_id={STRANGER}"),
    ("GET", "/api/credits/balance"): READ,
    ("GET", "/api/credits/transactions"): READ,
    ("GET", "/api/credits/usage"): READ,
    ("GET", "/api/credits/usage/summary"): READ,
    ("GET", "/api/credits/lots"): READ,
    ("GET", "/api/credits/holds"): READ,
    ("GET", "/api/credits/holds/{id}"): READ._replace(id="h1"),
    ("GET", "/api/credits/limits"): READ,
    ("GET", "/api/credits/statement"): READ,
    ("GET", "/api/billing/payments"): READ,
    ("GET", "/api/billing/invoices"): READ,
    ("GET", "/api/billing/subscription"): READ,
    ("GET", "/api/billing/payment-methods"): READ,
    ("GET", "/api/billing/auto-topup"): READ,
    ("GET", "/api/billing/auto-topup/consents"): READ,
    ("GET", "/api/billing/charges"): READ,
    ("GET", "/api/billing/purchase-quote"): READ._replace(query="account_id=acme&package_id=credits_100"),
    ("POST", "/api/billing/auto-topup/preview"): Row(
        "member", OK, {"account_id": "acme", "enabled": True, "threshold": "50", "amount": "100"}, ""
    ),
    ("GET", "/api/billing/revenue"): Row(None),
    ("POST", "/api/credits/quote"): Row("member", OK, USE, ""),
    ("POST", "/api/credits/use"): Row(None, OK, USE, ""),
    ("POST", "/api/credits/usage"): Row(None, OK, USE | {"id": "e1"}, ""),
    ("POST", "/api/credits/adjustments"): Row(
        None, CREATED, {"account_id": "acme", "amount": "1", "reason": "r"}, ""
    ),
    ("GET", "/api/credits/adjustments"): Row(None),
    ("POST", "/api/credits/adjustments/{id}/approve"): Row(
        None, (404, "not_found"), {}, "", "adj_9", foreign_key=(404, "not_found")
    ),
    ("POST", "/api/credits/adjustments/{id}/reject"): Row(
        None, (404, "not_found"), {}, "", "adj_9", foreign_key=(404, "not_found")
    ),
    ("POST", "/api/credits/lots/{id}/extend"): Row(
        None,
        (404, "not_found"),
        {"account_id": "acme", "expires_at": None, "reason": "r"},
        "",
        "lot_999",
    ),
    ("POST", "/api/credits/holds"): Row(None, CREATED, {"account_id": "acme", "amount": "1"}, ""),
    ("POST", "/api/credits/holds/{id}/extend"): HOLD,
    ("POST", "/api/credits/holds/{id}/settle"): HOLD._replace(body={"account_id": "acme", "amount": "1"}),
    ("POST", "/api/credits/holds/{id}/release"): HOLD._replace(id="h2"),
    ("PUT", "/api/billing/actions"): Row(
        None, SCOPE_MISSING, {"action": "chat", "credits": "2.5"}, "", foreign_key=SCOPE_MISSING
    ),
    ("PUT", "/api/credits/limits"): Row(
        "admin",
        OK,
        {"account_id": "acme", "scope": "agent", "scope_id": "a", "window": "day", "credits": "1"},
        "",
    ),
    ("GET", "/api/credits/low-balance-levels"): READ,
    ("PUT", "/api/credits/low-balance-levels"): Row("admin", OK, {"account_id": "acme", "levels": ["5"]}, ""),
    ("GET", "/api/billing/notice-preferences"): READ,
    ("PUT", "/api/billing/notice-preferences"): Row(
        "admin", OK, {"account_id": "acme", "topic": "topup.succeeded", "enabled": False}, ""
    ),
    ("POST", HOOKS): Row(None, CREATED, {"account_id": "acme", "url": "https://platform.example/"}, ""),
    ("GET", HOOKS): Row(None),
    ("DELETE", f"{HOOKS}/{{id}}"): HOOK._replace(body=None),
    ("POST", f"{HOOKS}/{{id}}/enable"): HOOK,
    ("POST", f"{HOOKS}/{{id}}/test"): HOOK,
    ("POST", f"{HOOKS}/{{id}}/roll-secret"): HOOK,
    ("POST", f"{HOOKS}/{{id}}/replay"): HOOK._replace(body={"since": "2100-01-01T00:00:00Z"}),
    ("GET", f"{HOOKS}/{{id}}/deliveries"): HOOK._replace(body=None),
    ("POST", "/api/billing/checkout-sessions"): Row("admin", CREATED, BUY, ""),
    ("POST", "/api/create-payment-intent"): Row("admin", CREATED, BUY, ""),
    ("PUT", "/api/billing/auto-topup"): Row("owner", OK, {"account_id": "acme", "enabled": False}, ""),
    ("POST", "/api/billing/setup-intents"): Row("owner", CREATED, {"account_id": "acme"}, ""),
    ("POST", "/api/billing/portal-sessions"): Row("owner", CREATED, {"account_id": "acme"}, ""),
    ("POST", "/api/billing/payment-methods/{id}/default"): CARD,
    ("DELETE", "/api/billing/payment-methods/{id}"): CARD._replace(body=None, query="account_id=acme"),
}
RANK = ["member", "admin", "owner"]
PROTECTED = [pytest.param(*route, row, id=" ".join(route)) for route, row in ROWS.items() if row is not None]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def settings(dsn: str, redis_url: str, issuer: Issuer) -> Settings:
    return make_settings(dsn, redis_url, SUPABASE_URL=issuer.url)


@pytest.fixture
def app(settings: Settings, ledger: Ledger, queue: Queue) -> Iterator[Flask]:
    with LocalStripe.start() as server:
        client = stripe.StripeClient("sk_test_web", base_addresses={"api": server.url})
        yield create_app(
            settings, ledger=ledger, queue=queue, gateway=StripeGateway(client, Sealer("a test key"))
        )


@pytest.fixture
def people(ledger: Ledger, acme: str) -> None:
    """Two accounts with members of every role."""
    ledger.open_account("other", "Other", "o@o.example", None, 7_000_000, "tests")
    for user_id, role in ((OWNER, "owner"), (ADMIN, "admin"), (MEMBER, "member")):
        ledger.set_member(acme, user_id, role, "tests")  # type: ignore[arg-type]
    ledger.set_member("other", STRANGER, "owner", "tests")
    for account in (acme, "other"):
        for hold in ("h1", "h2"):
            ledger.place_hold(account, {"id": hold, "amount": 1_000_000})


def refusals(row: Row) -> dict[str, Outcome]:
    """Who is refused, and how."""
    if row.role == "any":
        return {
            "nobody": UNAUTHENTICATED,
            **dict.fromkeys(("foreign key", "scopeless key", "key"), SCOPE_MISSING),
        }
    members = {
        role: ROLE_MISSING for role in RANK if row.role is None or RANK.index(role) < RANK.index(row.role)
    }
    stranger = ROLE_MISSING if row.role is None else NOT_THERE
    return {
        "nobody": UNAUTHENTICATED,
        "foreign member": stranger,
        "foreign key": row.foreign_key,
        "scopeless key": row.scopeless,
        **members,
    }


def test_every_route_has_a_row() -> None:
    assert {(declared.method, declared.path) for declared in REGISTRY} == set(ROWS)
    public = {route for route, row in ROWS.items() if row is None}
    assert {(e.method, e.path) for e in REGISTRY if not e.scope and not e.member_role} == public


@pytest.mark.parametrize(("method", "path", "row"), PROTECTED)
def test_81_82_who_gets_in_and_who_does_not(
    app: Flask, issuer: Issuer, key: KeyMaker, people: None, money: Counts, method: str, path: str, row: Row
) -> None:
    declared = next(e for e in REGISTRY if (e.method, e.path) == (method, path))
    lesser = [scope for scope in ALL_SCOPES if scope != declared.scope]
    callers = {
        "nobody": {},
        "foreign member": issuer.headers(STRANGER),
        "member": issuer.headers(MEMBER),
        "admin": issuer.headers(ADMIN),
        "owner": issuer.headers(OWNER),
        "foreign key": key(ALL_SCOPES, "other"),
        "scopeless key": key(lesser, "acme"),
        "key": key(ALL_SCOPES, "acme"),
    }
    client = app.test_client()
    url = path.format(id=row.id) + (f"?{row.query}" if row.query else "")

    def ask(caller: str) -> Outcome:
        answer = client.open(url, method=method, json=row.body, headers=callers[caller])
        content = answer.get_json(silent=True) or {}
        return answer.status_code, content.get("code") if answer.status_code >= 400 else None

    before = money()
    refused = refusals(row)
    assert {caller: ask(caller) for caller in refused} == refused
    assert money() == before, "a refusal changed something"
    for caller in set(callers) - set(refused):
        assert ask(caller) == row.done, caller


def test_81_an_account_of_others_and_one_that_does_not_exist_look_the_same(
    app: Flask, issuer: Issuer, people: None
) -> None:
    client = app.test_client()
    answers = [
        client.get(f"/api/credits/balance?account_id={account}", headers=issuer.headers(MEMBER)).json
        for account in ("other", "nobody")
    ]
    assert answers[0] == answers[1]


def test_members_of_several_accounts_name_one_and_nothing_is_listed(
    app: Flask, issuer: Issuer, ledger: Ledger, people: None
) -> None:
    ledger.set_member("other", MEMBER, "admin", "tests")
    client, token = app.test_client(), issuer.headers(MEMBER)
    unnamed = client.get("/api/credits/balance", headers=token)
    assert (unnamed.status_code, unnamed.json["code"]) == (422, "account_required")
    assert "acme" not in unnamed.text
    assert "other" not in unnamed.text
    for account in ("acme", "other"):
        named = client.get(f"/api/credits/balance?account_id={account}", headers=token)
        assert named.json["account_id"] == account
    assert [(a["account_id"], a["role"]) for a in client.get("/api/me", headers=token).json["accounts"]] == [
        ("acme", "member"),
        ("other", "admin"),
    ]
    # The role is that of the account that is named.
    buy = {"package_id": "credits_100"}
    for account, status in (("other", 201), ("acme", 403)):
        bought = client.post(
            "/api/billing/checkout-sessions", json=buy | {"account_id": account}, headers=token
        )
        assert bought.status_code == status


def test_one_account_need_not_be_named_and_who_has_none_gets_nothing(
    app: Flask, issuer: Issuer, people: None
) -> None:
    client = app.test_client()
    assert client.get("/api/credits/balance", headers=issuer.headers(MEMBER)).json["account_id"] == "acme"
    nobody = issuer.headers("00000000-0000-4000-8000-00000000ffff")
    assert client.get("/api/credits/balance", headers=nobody).status_code == 404
    assert client.get("/api/me", headers=nobody).json["accounts"] == []
