"""Members' tokens: what counts as one, and what a flood of others costs."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from shared.errors import Refused
from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.conftest import Counts, make_settings
from tests.web.identity import MEMBER, Issuer, issuing
from web.tokens import (
    FAILED_SECONDS,
    FRESH_SECONDS,
    KEY_SET_BYTES_MAX,
    UNKNOWN_SECONDS,
    IdentityUnavailable,
    KeySet,
    Tokens,
)

LEGACY = "a-legacy-secret-of-at-least-32-characters"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def settings(dsn: str, redis_url: str, issuer: Issuer) -> Settings:
    return make_settings(dsn, redis_url, SUPABASE_URL=issuer.url)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)
    ]
    return ".".join([*parts, signature])


def test_a_token_acts_for_its_members_account(
    client: FlaskClient, ledger: Ledger, issuer: Issuer, acme: str
) -> None:
    issuer.add_key("rsa", "RS256")
    ledger.set_member(acme, MEMBER, "member", "tests")
    for key_id in ("k1", "rsa"):
        answer = client.get("/api/credits/balance", headers=bearer(issuer.token(key_id=key_id)))
        assert (answer.status_code, answer.json["account_id"]) == (200, acme)
    assert issuer.requests == 1


def test_a_token_of_a_clock_that_is_ahead_is_taken(client: FlaskClient, issuer: Issuer) -> None:
    ahead = issuer.claims(MEMBER)["iat"] + 120
    assert client.get("/api/me", headers=bearer(issuer.token(iat=ahead))).status_code == 200


def test_79_tokens_that_are_not_the_projects_own_open_nothing(
    client: FlaskClient, ledger: Ledger, issuer: Issuer, acme: str, money: Counts
) -> None:
    ledger.set_member(acme, MEMBER, "owner", "tests")
    other = Issuer(1)
    claims = issuer.claims(MEMBER)
    # The public key as the secret of an HMAC: PyJWT refuses to sign so, hence by hand.
    published = issuer.keys["k1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    confused = unsigned({"alg": "HS256", "kid": "k1", "typ": "JWT"}, claims)
    mac = hmac.digest(published, confused[:-1].encode(), "sha256")
    confused += base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    empty = unsigned({"alg": "HS256", "typ": "JWT"}, claims)
    empty += base64.urlsafe_b64encode(hmac.digest(b"", empty[:-1].encode(), "sha256")).rstrip(b"=").decode()
    tokens = {
        "none": unsigned({"alg": "none", "kid": "k1"}, claims, "x"),
        "none without a signature": unsigned({"alg": "none"}, claims),
        "algorithm of a secret": confused,
        "an empty secret": empty,
        "legacy secret that is not set": jwt.encode(claims, LEGACY, algorithm="HS256"),
        "expired": issuer.token(exp=1),
        "no expiry": issuer.token(exp=None),
        "expiry is text": issuer.token(exp="tomorrow"),
        "not yet": issuer.token(nbf=2**40),
        "another audience": issuer.token(aud="anon"),
        "no audience": issuer.token(aud=None),
        "another issuer": issuer.token(iss="https://other.supabase.co/auth/v1"),
        "no issuer": issuer.token(iss=None),
        "another project's key under our id": jwt.encode(claims, other.keys["k1"], "ES256", {"kid": "k1"}),
        "the anon key": issuer.token(sub=None, role="anon", aud=None),
        "anon with a user": issuer.token(role="anon"),
        "service role": issuer.token(role="service_role"),
        "no role": issuer.token(role=None),
        "role is a list": issuer.token(role=["authenticated"]),
        "no user": issuer.token(sub=None),
        "user is not an id": issuer.token(sub="acme"),
        "user is SQL": issuer.token(sub="' or true --"),
        "no key id": jwt.encode(claims, issuer.keys["k1"], "ES256"),
        "key id is a path": jwt.encode(claims, issuer.keys["k1"], "ES256", {"kid": "../../k1"}),
        "absurd header": ".".join(
            [base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("="), "e30", "AAAA"]
        ),
        "header is no object": unsigned([1], claims, "AAAA"),  # type: ignore[arg-type]
        "altered": issuer.token()[:-6] + "AAAAAA",
    }
    before = money()
    for name, token in tokens.items():
        for path in ("/api/credits/balance", "/api/me"):
            answer = client.get(path, headers=bearer(token))
            assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated"), name
        spent = client.put("/api/billing/auto-topup", json={"enabled": False}, headers=bearer(token))
        assert spent.status_code == 401, name
    assert money() == before
    assert client.get("/api/me", headers=bearer(issuer.token())).status_code == 200


def test_a_legacy_secret_counts_only_where_it_is_set(dsn: str, redis_url: str, issuer: Issuer) -> None:
    token = jwt.encode(issuer.claims(MEMBER), LEGACY, algorithm="HS256")
    settings = make_settings(dsn, redis_url, SUPABASE_URL=issuer.url, SUPABASE_JWT_SECRET=LEGACY)
    assert Tokens(settings).verify(token).user_id == MEMBER
    assert issuer.requests == 0
    with pytest.raises(Refused):
        Tokens(settings).verify(jwt.encode(issuer.claims(MEMBER), LEGACY + "x", algorithm="HS256"))
    with pytest.raises(Refused):
        Tokens(make_settings(dsn, redis_url, SUPABASE_URL=issuer.url)).verify(token)
    # Beside the secret, the key set still counts.
    assert Tokens(settings).verify(issuer.token()).user_id == MEMBER


def test_without_a_project_there_are_no_members(dsn: str, redis_url: str, issuer: Issuer) -> None:
    with pytest.raises(Refused, match="API key"):
        Tokens(make_settings(dsn, redis_url)).verify(issuer.token())


class Source:
    """A key set that counts how often it is asked, and can be away."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.asked = 0
        self.now = 0.0
        self.away = False
        self.keys = KeySet(self, clock=lambda: self.now)

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("away")
        return self.issuer.document()


@pytest.fixture
def source() -> Source:
    return Source(Issuer(1))


def test_80_flood_of_unknown_key_ids_asks_once_in_thirty_seconds(source: Source) -> None:
    assert source.keys.get("k1") is not None
    for second in range(60):
        source.now = float(second)
        for _ in range(200):
            assert source.keys.get(str(uuid.uuid4())) is None
        assert source.keys.get("k1") is not None
    assert UNKNOWN_SECONDS == 30
    assert source.asked == 2


def test_80_flood_over_http_from_many_threads(
    client: FlaskClient, issuer: Issuer, ledger: Ledger, acme: str
) -> None:
    ledger.set_member(acme, MEMBER, "member", "tests")
    app, barrier = client.application, threading.Barrier(16)

    def flood(number: int) -> set[int]:
        barrier.wait()
        statuses = set()
        for turn in range(20):
            token = jwt.encode(issuer.claims(MEMBER), issuer.keys["k1"], "ES256", {"kid": f"{number}-{turn}"})
            statuses.add(app.test_client().get("/api/me", headers=bearer(token)).status_code)
        return statuses

    with ThreadPoolExecutor(16) as pool:
        found = set().union(*pool.map(flood, range(16)))
    assert found <= {401, 503}
    assert issuer.requests == 1
    assert client.get("/api/me", headers=bearer(issuer.token())).status_code == 200


def test_new_key_is_found_and_a_revoked_one_forgotten(source: Source) -> None:
    assert source.keys.get("k1") is not None
    source.issuer.add_key("k2")
    source.now = UNKNOWN_SECONDS
    assert source.keys.get("k2") is not None
    del source.issuer.keys["k1"]
    source.now += FRESH_SECONDS
    assert source.keys.get("k1") is None


def test_while_the_key_set_is_away_known_keys_work_and_unknown_ones_are_503(source: Source) -> None:
    source.away = True
    for _ in range(50):
        with pytest.raises(IdentityUnavailable):
            source.keys.get("k1")
    assert source.asked == 1
    source.away, source.now = False, FAILED_SECONDS
    assert source.keys.get("k1") is not None
    source.away = True
    for later in (FRESH_SECONDS * 2, FRESH_SECONDS * 20):
        source.now = later
        assert source.keys.get("k1") is not None
        with pytest.raises(IdentityUnavailable):
            source.keys.get("k2")


@pytest.mark.parametrize("document", [{}, [], None, {"keys": {}}, {"keys": None}])
def test_what_is_no_key_set_is_as_good_as_none(document: Any) -> None:
    with pytest.raises(IdentityUnavailable):
        KeySet(lambda: document).get("k1")


def test_entries_that_are_no_public_key_are_passed_over(source: Source) -> None:
    rows = [
        1,
        {"kid": "k1"},
        {"kty": "oct", "kid": "k1", "k": "AAAA", "alg": "HS256"},
        {"kty": "EC", "kid": "k1"},
    ]
    keys = KeySet(lambda: {"keys": [*rows, source.issuer.document()["keys"][0] | {"kid": "k2"}]})
    assert keys.get("k1") is None
    assert keys.get("k2") is not None


def test_key_set_that_is_too_large_is_not_read(client: FlaskClient, issuer: Issuer) -> None:
    issuer.padding = "x" * KEY_SET_BYTES_MAX
    assert client.get("/api/me", headers=bearer(issuer.token())).status_code == 503


def test_key_set_away_is_503_over_http(client: FlaskClient, issuer: Issuer) -> None:
    issuer.down = True
    answer = client.get("/api/me", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json["code"]) == (503, "identity_unavailable")
    assert "Retry-After" in answer.headers
