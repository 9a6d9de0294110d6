"""Subscribing by API, against the local Stripe; the subscription and the invoices that are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient

from local.stripe.app import LocalStripe
from shared.ledger import Ledger
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from shared.stripe_subscriptions import facts_of_invoice, facts_of_subscription
from tests.web.conftest import Counts, KeyMaker
from web import create_app

PATH = "/api/billing/checkout-sessions"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def at_stripe(server: LocalStripe) -> Iterator[stripe.StripeClient]:
    server.control.reset()
    yield stripe.StripeClient(
        "sk_test_web",
        http_client=stripe.RequestsClient(timeout=(5, 5)),
        base_addresses={"api": server.url},
    )
    assert server.control.violations() == []


@pytest.fixture
def app(settings: Settings, ledger: Ledger, queue: Queue, at_stripe: stripe.StripeClient) -> Flask:
    return create_app(
        settings, ledger=ledger, queue=queue, gateway=StripeGateway(at_stripe, Sealer("a test key"))
    )


@pytest.fixture
def headers(key: KeyMaker, acme: str) -> dict[str, str]:
    return key(["admin", "read"], acme)


def subscribe(client: FlaskClient, headers: dict[str, str], plan: str = "starter", **more: Any) -> Any:
    return client.post(PATH, json={"plan_id": plan} | more, headers=headers)


def session_of(answer: Any) -> str:
    return str(answer.json["url"].rpartition("/")[2])


def tell(ledger: Ledger, at_stripe: stripe.StripeClient, session: dict[str, Any]) -> None:
    """What the worker does when the webhooks come."""
    found = at_stripe.v1.subscriptions.retrieve(session["subscription"]).to_dict()
    ledger.mirror_subscription(ledger.get_mirror_version(found["id"]), facts_of_subscription(found))
    ledger.grant_invoice(facts_of_invoice(at_stripe.v1.invoices.retrieve(session["invoice"]).to_dict()))


def test_a_plan_is_bought_through_checkout_and_shown_with_its_invoice(
    client: FlaskClient,
    headers: dict[str, str],
    server: LocalStripe,
    at_stripe: stripe.StripeClient,
    ledger: Ledger,
) -> None:
    assert client.get("/api/billing/subscription", headers=headers).json == {"subscription": None}
    answer = subscribe(client, headers)
    assert answer.status_code == 201
    assert answer.json == {
        "id": answer.json["id"],
        "url": answer.json["url"],
        "credits": "500",
        "price": {"amount": 1900, "currency": "usd"},
    }
    session = server.control.pay_checkout(session_of(answer))
    assert (session["mode"], session["amount_total"]) == ("subscription", 1900)
    tell(ledger, at_stripe, session)
    shown = client.get("/api/billing/subscription", headers=headers).json["subscription"]
    assert {
        name: shown[name] for name in ("id", "plan", "status", "credits_per_cycle", "price", "rollover_cap")
    } == {
        "id": session["subscription"],
        "plan": "starter",
        "status": "active",
        "credits_per_cycle": "500",
        "price": {"amount": 1900, "currency": "usd"},
        "rollover_cap": None,
    }
    assert (shown["cancel_at_period_end"], shown["credits_expire"]) == (False, False)
    assert shown["current_period_start"] < shown["current_period_end"]
    page = client.get("/api/billing/invoices?limit=1", headers=headers).json
    assert page["next_cursor"] is None
    (invoice,) = page["data"]
    assert (invoice["id"], invoice["status"], invoice["subscription_id"]) == (
        session["invoice"],
        "paid",
        session["subscription"],
    )
    assert invoice["amount_paid"] == {"amount": 1900, "currency": "usd"}
    assert client.get("/api/credits/balance", headers=headers).json["available"] == "600"


def test_the_session_names_account_plan_and_checkout(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe
) -> None:
    answer = subscribe(client, headers)
    (request,) = server.control.requests(method="POST", path="/v1/checkout/sessions")
    metadata = {
        "refill_account_id": "acme",
        "refill_plan_id": "starter",
        "refill_checkout_id": answer.json["id"],
    }
    assert request["params"]["metadata"] == request["params"]["subscription_data"]["metadata"] == metadata
    back = request["params"]["success_url"]
    assert back.startswith("http://localhost:8000/billing/return/")
    assert request["params"]["cancel_url"] == f"{back}/canceled"


def test_a_repeat_under_one_key_is_the_same_session(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe
) -> None:
    token = headers | {"Idempotency-Key": "order-1"}
    first, second = subscribe(client, token), subscribe(client, token)
    assert (second.status_code, second.json) == (201, first.json)
    assert len(server.control.requests(method="POST", path="/v1/checkout/sessions")) == 1


def test_a_repeat_after_stripes_answer_was_lost_is_the_same_session(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe
) -> None:
    token = headers | {"Idempotency-Key": "order-1"}
    server.control.fail(kind="conflict", method="POST", path="/v1/checkout/sessions", stage="after", times=5)
    assert subscribe(client, token).status_code == 503
    server.control.clear_faults()
    answer = subscribe(client, token)
    assert answer.status_code == 201
    asked = server.control.requests(method="POST", path="/v1/checkout/sessions")
    assert len({request["idempotency_key"] for request in asked}) == 1
    assert server.control.pay_checkout(session_of(answer))["status"] == "complete"


def test_only_the_newest_session_of_an_account_can_be_paid(
    client: FlaskClient, headers: dict[str, str], at_stripe: stripe.StripeClient
) -> None:
    first, second = subscribe(client, headers), subscribe(client, headers, "pro")
    assert second.status_code == 201
    statuses = [at_stripe.v1.checkout.sessions.retrieve(session_of(made)).status for made in (first, second)]
    assert statuses == ["expired", "open"]
    third = subscribe(client, headers)
    assert at_stripe.v1.checkout.sessions.retrieve(session_of(third)).status == "open"


def test_a_second_subscription_is_refused_before_and_after_the_webhook_of_the_first(
    client: FlaskClient,
    headers: dict[str, str],
    server: LocalStripe,
    at_stripe: stripe.StripeClient,
    ledger: Ledger,
) -> None:
    session = server.control.pay_checkout(session_of(subscribe(client, headers)))
    early = subscribe(client, headers, "pro")
    assert (early.status_code, early.json["code"]) == (409, "state_conflict")
    tell(ledger, at_stripe, session)
    late = subscribe(client, headers, "pro")
    assert (late.status_code, late.json["code"]) == (409, "state_conflict")
    assert len(server.control.requests(method="POST", path="/v1/checkout/sessions")) == 1
    at_stripe.v1.subscriptions.cancel(session["subscription"])
    tell(ledger, at_stripe, session)
    assert (
        client.get("/api/billing/subscription", headers=headers).json["subscription"]["status"] == "canceled"
    )
    assert subscribe(client, headers, "pro").status_code == 201


@pytest.mark.parametrize("plan", ["gold", "free"])
def test_plans_that_cannot_be_bought_make_no_customer(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe, money: Counts, plan: str
) -> None:
    before = money()
    answer = subscribe(client, headers, plan)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert (server.control.requests(), money()) == ([], before)


@pytest.mark.parametrize(
    "body",
    [{}, {"plan_id": "pro", "package_id": "credits_100"}, {"plan_id": "pro", "quantity": 2}],
    ids=["neither", "both", "quantity"],
)
def test_one_thing_is_bought_at_a_time(
    client: FlaskClient, headers: dict[str, str], body: dict[str, Any], money: Counts
) -> None:
    before = money()
    assert client.post(PATH, json=body, headers=headers).status_code == 422
    assert money() == before


def test_redirects_of_a_subscription_stay_on_this_server(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe
) -> None:
    assert subscribe(client, headers, success_url="https://evil.test/").status_code == 422
    assert server.control.requests() == []


@pytest.mark.parametrize("path", ["/api/billing/subscription", "/api/billing/invoices"])
def test_another_accounts_subscription_is_not_shown(
    client: FlaskClient, headers: dict[str, str], ledger: Ledger, path: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    answer = client.get(f"{path}?account_id=other", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (404, "unknown_account")
