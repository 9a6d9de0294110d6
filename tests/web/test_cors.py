"""Which origins a browser lets read the API, and what they are never told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.conftest import Counts, make_settings
from tests.web.identity import MEMBER, Issuer, issuing
from web import webhooks

APP, OTHER = "https://app.example.com", "https://other.example.com"
BALANCE, CHECKOUT = "/api/credits/balance", "/api/billing/checkout-sessions"
STRANGERS = (
    "null", "", "*", "https://APP.example.com", "https://app.example.com.evil.example", "https://evilapp.example.com",
    "http://app.example.com", "https://app.example.com:8443", "https://app.example.com/", f"{APP}, {OTHER}",
    "https://app.example.co", "https://stranger.example",
)  # fmt: skip


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def settings(dsn: str, redis_url: str, issuer: Issuer) -> Settings:
    return make_settings(dsn, redis_url, SUPABASE_URL=issuer.url, ALLOWED_ORIGINS=f"{APP}, {OTHER}")


@pytest.fixture
def token(issuer: Issuer, ledger: Ledger, acme: str) -> dict[str, str]:
    """The headers of an admin of acme."""
    ledger.set_member(acme, MEMBER, "admin", "tests")
    return issuer.headers(MEMBER)


def preflight(client: FlaskClient, path: str, method: str, origin: str = APP) -> dict[str, str]:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return told(client.options(path, headers=headers).headers)


def told(headers: object) -> dict[str, str]:
    """What of an answer is about other origins."""
    return {
        name: value
        for name, value in dict(headers).items()  # type: ignore[call-overload]
        if name.startswith("Access-Control-")
    }


@pytest.mark.parametrize("origin", [APP, OTHER])
def test_an_origin_on_the_list_reads_the_answer_to_a_token(
    client: FlaskClient, token: dict[str, str], origin: str
) -> None:
    answer = client.get(BALANCE, headers=token | {"Origin": origin})
    assert (answer.status_code, answer.json["available"]) == (200, "100")
    assert told(answer.headers) == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After",
    }
    assert "Origin" in answer.vary


@pytest.mark.parametrize("origin", STRANGERS)
def test_any_other_origin_is_told_nothing(client: FlaskClient, token: dict[str, str], origin: str) -> None:
    answer = client.get(BALANCE, headers=token | {"Origin": origin})
    assert told(answer.headers) == {}
    assert "Origin" in answer.vary, "a cache would give it the answer to an allowed origin"
    assert preflight(client, BALANCE, "GET", origin) == {}


def test_a_preflight_names_origin_methods_and_headers_and_no_credentials(
    client: FlaskClient, acme: str, money: Counts
) -> None:
    before = money()
    allowed = preflight(client, CHECKOUT, "POST")
    methods = allowed.pop("Access-Control-Allow-Methods")
    assert set(methods.split(", ")) == {"POST", "OPTIONS"}
    assert allowed == {
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "600",
    }
    assert "PUT" in preflight(client, "/api/billing/auto-topup", "PUT")["Access-Control-Allow-Methods"]
    assert money() == before


def test_refusals_are_readable_too(client: FlaskClient, token: dict[str, str], ledger: Ledger) -> None:
    expired = client.get(BALANCE, headers={"Origin": APP, "Authorization": "Bearer a.b.c"})
    unknown = client.get(f"{BALANCE}?account_id=other", headers=token | {"Origin": APP})
    for answer, status in ((expired, 401), (unknown, 404)):
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == APP


def test_without_a_bearer_token_nothing_is_told(client: FlaskClient, acme: str) -> None:
    """A cookie or another scheme is no way in from another origin."""
    client.set_cookie("refill", "anything")
    for more in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        assert told(client.get(BALANCE, headers={"Origin": APP} | more).headers) == {}


@pytest.mark.parametrize("path", [*webhooks.PATHS, "/api/webhooks%2Fstripe"])
def test_stripes_webhooks_are_for_no_browser(client: FlaskClient, path: str) -> None:
    headers = {"Origin": APP, "Authorization": "Bearer a.b.c"}
    assert told(client.post(path, data=b"{}", headers=headers).headers) == {}
    assert preflight(client, path, "POST") == {}


@pytest.mark.parametrize(
    "path", ["/", "/billing", "/sign-in", "/healthz", "/docs", "/openapi.json", "/metrics"]
)
def test_pages_are_for_no_other_origin(client: FlaskClient, path: str) -> None:
    headers = {"Origin": APP, "Authorization": "Bearer a.b.c"}
    assert told(client.get(path, headers=headers).headers) == {}
    assert preflight(client, path, "GET") == {}


def test_credentials_are_allowed_nowhere(app: Flask, token: dict[str, str]) -> None:
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        path = rule.rule.split("<")[0]
        answers = [
            client.options(path, headers={"Origin": APP, "Access-Control-Request-Method": "GET"}),
            client.get(path, headers=token | {"Origin": APP}),
        ]
        for answer in answers:
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert answer.headers.get("Access-Control-Allow-Origin", APP) == APP


class TestWithoutTheSetting:
    """As it is by default."""

    @pytest.fixture
    def settings(self, dsn: str, redis_url: str, issuer: Issuer) -> Settings:
        return make_settings(dsn, redis_url, SUPABASE_URL=issuer.url)

    def test_no_origin_is_told_anything(self, client: FlaskClient, token: dict[str, str]) -> None:
        answer = client.get(BALANCE, headers=token | {"Origin": APP})
        assert (answer.status_code, told(answer.headers)) == (200, {})
        assert preflight(client, BALANCE, "GET") == {}
