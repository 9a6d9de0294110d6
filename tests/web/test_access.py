"""Who may call what: keys, scopes, bound and unbound keys."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from shared import keys
from shared.ledger import Ledger
from shared.models import ApiKey
from tests.web.conftest import ALL_SCOPES, KeyMaker
from web.auth import CACHE_SECONDS, Keyring
from web.endpoints import REGISTRY

PROTECTED = [(e.method, e.path, e.scope) for e in REGISTRY if e.scope]


@pytest.mark.parametrize(("method", "path", "scope"), PROTECTED)
def test_every_protected_endpoint_wants_exactly_its_scope(
    client: FlaskClient, key: KeyMaker, acme: str, method: str, path: str, scope: str
) -> None:
    others = key([other for other in ALL_SCOPES if other != scope], acme)
    refused = client.open(path, method=method, headers=others, json={})
    assert (refused.status_code, refused.json["code"], refused.json["scope"]) == (403, "scope_missing", scope)
    allowed = client.open(path, method=method, headers=key([scope], acme), json={})
    assert allowed.status_code not in (401, 403)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer rk_short",
        "Basic abc",
        "rk_" + "0" * 48,
        "Bearer rk_" + "0" * 48,
        "Bearer sk_live_x",
        "Bearer rk_" + "é" * 48,
        "Bearer rk_" + "0" * 5000,
    ],
)
def test_without_a_valid_key_it_is_401(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode().decode("latin-1")}
    for method, path, _ in PROTECTED:
        response = client.open(path, method=method, headers=headers)
        assert (response.status_code, response.json["code"]) == (401, "unauthenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_81_bound_key_never_sees_another_account(
    client: FlaskClient, key: KeyMaker, ledger: Ledger, acme: str
) -> None:
    ledger.open_account("other", "Other", "o@o.example", None, 7_000_000, "tests")
    token = key(ALL_SCOPES, acme)
    ledger.place_hold("other", {"id": "h1", "amount": 1_000_000})
    for path in (
        "credits/balance",
        "credits/transactions",
        "credits/usage",
        "credits/lots",
        "credits/holds",
        "credits/holds/h1",
        "credits/limits",
        "credits/low-balance-levels",
        "billing/notice-preferences",
        "billing/webhook-endpoints",
        "billing/payments",
    ):
        response = client.get(f"/api/{path}?account_id=other", headers=token)
        assert (response.status_code, response.json["code"]) == (404, "unknown_account")
    for method, path, body in (
        ("POST", "/api/credits/use", {"action": "chat"}),
        ("POST", "/api/credits/usage", {"id": "e", "action": "chat"}),
        ("POST", "/api/credits/holds", {"amount": "1"}),
        ("POST", "/api/credits/holds/h1/settle", {"amount": "1"}),
        ("POST", "/api/credits/holds/h1/extend", {}),
        ("POST", "/api/credits/holds/h1/release", {}),
        ("POST", "/api/credits/quote", {"action": "chat"}),
        ("PUT", "/api/credits/limits", {"scope": "agent", "scope_id": "a", "window": "day", "credits": "1"}),
        ("POST", "/api/credits/adjustments", {"amount": "1", "reason": "r"}),
        ("POST", "/api/credits/lots/lot_1/extend", {"expires_at": None, "reason": "r"}),
        ("POST", "/api/billing/checkout-sessions", {"package_id": "credits_100"}),
        ("PUT", "/api/billing/auto-topup", {"enabled": False}),
        ("PUT", "/api/credits/low-balance-levels", {"levels": []}),
        ("PUT", "/api/billing/notice-preferences", {"topic": "balance.low", "enabled": False}),
        ("POST", "/api/billing/webhook-endpoints", {"url": "https://platform.example/"}),
    ):
        response = client.open(path, method=method, json=body | {"account_id": "other"}, headers=token)
        assert (response.status_code, response.json["code"]) == (404, "unknown_account"), path
    batch = client.post(
        "/api/credits/usage",
        json=[{"id": "e1", "action": "chat"}, {"id": "e2", "action": "chat", "account_id": "other"}],
        headers=token,
    )
    assert batch.json["accepted"] == 1
    assert batch.json["rejected"] == [{"index": 1, "id": "e2", "code": "unknown_account", "parked": False}]
    assert ledger.get_balance("other")["balance"] == 7_000_000


def test_unbound_key_names_the_account(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    token = key()
    missing = client.get("/api/credits/balance", headers=token)
    assert (missing.status_code, missing.json["code"]) == (422, "account_required")
    assert client.get("/api/credits/balance?account_id=acme", headers=token).json["account_id"] == "acme"


class Lookups:
    """A table of keys that counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: dict[bytes, ApiKey] = {}
        self.asked = 0
        self.now = 0.0

    def __call__(self, digest: bytes) -> ApiKey | None:
        self.asked += 1
        return self.rows.get(digest)

    def add(self) -> tuple[str, bytes]:
        secret, prefix = keys.new_api_key()
        digest = keys.api_key_hash(secret)
        row: Any = {"id": "key_1", "name": "n", "prefix": prefix, "scopes": [], "account_id": None}
        self.rows[digest] = row
        return f"Bearer {secret}", digest


def test_key_is_looked_up_once_in_a_while_and_revocation_takes_at_most_five_seconds() -> None:
    table = Lookups()
    ring = Keyring(table, clock=lambda: table.now)
    header, digest = table.add()
    for _ in range(100):
        ring.authenticate(header)
    assert table.asked == 1
    del table.rows[digest]
    table.now = CACHE_SECONDS + 0.001
    assert CACHE_SECONDS <= 5
    with pytest.raises(Exception, match="valid API key"):
        ring.authenticate(header)


def test_unknown_and_malformed_keys_hardly_reach_the_database() -> None:
    table = Lookups()
    ring = Keyring(table, clock=lambda: table.now)
    unknown = f"Bearer {keys.new_api_key()[0]}"
    for header in [unknown] * 50 + ["Bearer nonsense", "", None, "Bearer rk_" + "g" * 48]:
        with pytest.raises(Exception, match="valid API key"):
            ring.authenticate(header)
    assert table.asked == 1


def test_flood_of_unknown_keys_does_not_push_known_ones_out() -> None:
    table = Lookups()
    ring = Keyring(table, clock=lambda: table.now)
    header, _ = table.add()
    ring.authenticate(header)
    for _ in range(11_000):
        with pytest.raises(Exception, match="valid API key"):
            ring.authenticate(f"Bearer {keys.new_api_key()[0]}")
    asked = table.asked
    ring.authenticate(header)
    assert table.asked == asked
