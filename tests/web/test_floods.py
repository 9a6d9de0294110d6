"""Floods: of sessions at Stripe by account and by address, of mails, of passwords; and links that were left lying."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient
from limits import parse

from local.stripe.app import LocalStripe
from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database
from tests.web.at_supabase import settings
from tests.web.browsing import EMAIL, PASSWORD, SITE, ask_for_link, follow, rows, sign_in
from tests.web.conftest import Counts, KeyMaker
from web import create_app, limits

__all__ = ["settings"]

CHECKOUT = "/api/billing/checkout-sessions"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def supabase() -> Iterator[LocalSupabase]:
    with LocalSupabase.start(site_url=SITE) as made:
        yield made


@pytest.fixture
def app(settings: Settings, ledger: Ledger, queue: Queue, server: LocalStripe) -> Flask:
    server.control.reset()
    client = stripe.StripeClient("sk_test_web", base_addresses={"api": server.url})
    gateway = StripeGateway(client, Sealer("test sealing key"))
    return create_app(settings, ledger=ledger, queue=queue, gateway=gateway)


@pytest.fixture
def ada(supabase: LocalSupabase, ledger: Ledger, acme: str) -> str:
    user_id = str(supabase.auth.create_user(EMAIL, PASSWORD)["id"])
    ledger.set_member(acme, user_id, "owner", "tests")
    return user_id


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHECKOUT, {"package_id": "credits_100"}),
        (CHECKOUT, {"plan_id": "pro"}),
        ("/api/create-payment-intent", {"package_id": "credits_100"}),
        ("/api/billing/setup-intents", {}),
        ("/api/billing/portal-sessions", {}),
    ],
)
def test_90_what_opens_something_at_stripe_is_limited_per_account(
    client: FlaskClient, key: KeyMaker, acme: str, server: LocalStripe, money: Counts, path: str, body: Any
) -> None:
    token = key()
    wanted = {**body, "account_id": acme}
    statuses = [client.post(path, json=wanted, headers=token).status_code for _ in range(10)]
    assert statuses == [201] * 10
    before, asked = money(), len(server.control.requests())
    refused = client.post(path, json=wanted, headers=token)
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert money() == before
    assert len(server.control.requests()) == asked


def test_90_a_thousand_checkouts_of_many_accounts_are_limited_per_address(
    client: FlaskClient,
    key: KeyMaker,
    ledger: Ledger,
    server: LocalStripe,
    database: Database,
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(limits, "PER_ADDRESS", parse("12 per hour"))
    token, statuses = key(), []
    for number in range(1000):
        if number < 20:
            ledger.open_account(f"a{number}", "A", None, None, 0, "tests")
        body = {"account_id": f"a{number % 20}", "package_id": "credits_100"}
        statuses.append(client.post(CHECKOUT, json=body, headers=token).status_code)
    assert statuses.count(201) == 12
    assert set(statuses[12:]) == {429}
    assert rows(database, "select count(*) from billing.payments") == [(12,)]
    assert len(server.control.requests(method="POST", path="/v1/checkout/sessions")) == 12
    ledger.open_account("fresh", "A", None, None, 0, "tests")
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    body = {"account_id": "fresh", "package_id": "credits_100"}
    assert client.post(CHECKOUT, json=body, headers=token, environ_overrides=elsewhere).status_code == 201


def test_limits_of_one_action_are_not_those_of_another(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    """Whoever looked at too many Checkouts can still add a card."""
    token = key(None, acme)
    for _ in range(11):
        last = client.post(CHECKOUT, json={"package_id": "credits_100"}, headers=token)
    assert last.status_code == 429
    assert client.post("/api/billing/setup-intents", json={}, headers=token).status_code == 201


def test_mails_with_links_are_limited_per_mail_address(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    statuses = [ask_for_link(client).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert len(supabase.auth.mails) == 10


def test_the_spelling_of_a_mail_address_gives_no_more_guesses(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    spellings = [EMAIL, EMAIL.upper(), EMAIL.title(), f" {EMAIL} "]
    statuses = [sign_in(client, "wrong", email=spellings[number % 4]).status_code for number in range(11)]
    assert statuses == [401] * 10 + [429]
    assert supabase.requests.count("POST /auth/v1/token") == 10


def test_providers_are_limited_per_address(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SIGN_INS_PER_ADDRESS", parse("3 per hour"))
    assert [client.get("/sign-in/with/github").status_code for _ in range(4)] == [303, 303, 303, 429]


def test_link_that_was_left_lying_for_an_hour_opens_nothing(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    ask_for_link(client)
    back = follow(supabase.auth.mails[-1]["url"])
    with client.session_transaction() as session:
        session["pending"] = {
            state: kept | {"until": kept["until"] - 3601} for state, kept in session["pending"].items()
        }
    assert client.get(back).status_code == 400
    assert rows(database, "select * from billing.member_sessions") == []
