"""Cards, the portal and purchases without Checkout by API, over the local Stripe."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from flask.testing import FlaskClient

from local.stripe.app import LocalStripe
from shared.ledger import Ledger
from shared.observability import JsonFormatter
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.web.conftest import ALL_SCOPES, Counts, KeyMaker
from web import create_app

METHODS = "/api/billing/payment-methods"
SETUP = "/api/billing/setup-intents"
PORTAL = "/api/billing/portal-sessions"
BUY = "/api/create-payment-intent"
CREDIT = 1_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@dataclasses.dataclass
class Shop:
    """The API with a key of account acme, and the Stripe behind it."""

    client: FlaskClient
    headers: dict[str, str]
    stripe: stripe.StripeClient
    local: LocalStripe
    ledger: Ledger

    def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
        return self.client.post(path, json=body, headers=self.headers | headers)

    @property
    def customer(self) -> str:
        found = self.ledger.get_customer("acme")
        assert found is not None
        return str(found["stripe_customer_id"])

    def add(self, name: str = "pm_card_visa") -> str:
        """A card, saved as a browser does, and not told by any event."""
        made = self.post(SETUP).json
        return str(self.stripe.v1.setup_intents.confirm(made["id"], {"payment_method": name}).payment_method)

    def choose(self, method: str) -> Any:
        return self.post(f"{METHODS}/{method}/default")

    def remove(self, method: str) -> Any:
        return self.client.delete(f"{METHODS}/{method}", headers=self.headers)

    def listed(self) -> list[tuple[str, bool]]:
        page = self.client.get(METHODS, headers=self.headers).json
        assert page["next_cursor"] is None
        return [(row["id"], row["default"]) for row in page["data"]]

    def enable(self) -> None:
        wanted = {"enabled": True, "threshold": 10 * CREDIT, "credits": 100 * CREDIT, "text_version": "v1"}
        self.ledger.set_auto_topup("acme", wanted, "tests")

    def paused(self) -> Any:
        return self.client.get("/api/billing/auto-topup", headers=self.headers).json["paused_reason"]


@pytest.fixture
def shop(
    server: LocalStripe,
    settings: Settings,
    ledger: Ledger,
    queue: Queue,
    key: KeyMaker,
    acme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_a, **_k: 0.01)
    server.control.reset()
    client = stripe.StripeClient(
        "sk_test_123",
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=(1, 1)),
        base_addresses={"api": server.url},
    )
    app = create_app(
        settings, ledger=ledger, queue=queue, gateway=StripeGateway(client, Sealer("a test key"))
    )
    yield Shop(app.test_client(), key(["admin", "read"], acme), client, server, ledger)
    assert server.control.violations() == []
    assert ledger.check_invariants() == []


def test_card_is_added_listed_chosen_and_removed(shop: Shop) -> None:
    first, second = shop.add(), shop.add("pm_card_amex")
    assert shop.choose(first).status_code == 200
    assert shop.choose(second).json["data"][0]["id"] == second
    assert sorted(shop.listed()) == sorted([(first, False), (second, True)])
    card = shop.client.get(METHODS, headers=shop.headers).json["data"][0]
    assert set(card) == {"id", "brand", "last4", "exp_month", "exp_year", "default"}
    assert (card["brand"], card["last4"]) == ("amex", "8431")
    at_stripe = shop.stripe.v1.customers.retrieve(shop.customer).invoice_settings
    assert at_stripe is not None
    assert at_stripe.default_payment_method == second
    for _ in range(2):
        assert shop.remove(first).status_code == 200
    assert shop.listed() == [(second, True)]
    assert shop.stripe.v1.payment_methods.retrieve(first).customer is None


def test_setup_intent_saves_for_off_session_and_never_redirects(shop: Shop) -> None:
    answer = shop.post(SETUP)
    assert answer.status_code == 201
    assert set(answer.json) == {"id", "client_secret"}
    made = shop.stripe.v1.setup_intents.retrieve(answer.json["id"]).to_dict()
    assert (made["usage"], made["customer"], made["client_secret"]) == (
        "off_session",
        shop.customer,
        answer.json["client_secret"],
    )
    assert made["automatic_payment_methods"] == {"enabled": True, "allow_redirects": "never"}
    assert made["metadata"] == {"refill_account_id": "acme"}


def test_removing_the_default_pauses_and_chooses_no_other(shop: Shop) -> None:
    first, second = shop.add(), shop.add("pm_card_amex")
    shop.choose(first)
    shop.enable()
    shop.ledger.spend_credits("acme", {"id": "s", "amount": 95 * CREDIT})
    assert shop.remove(first).json["data"] == [
        row for row in shop.client.get(METHODS, headers=shop.headers).json["data"] if not row["default"]
    ]
    assert (shop.listed(), shop.paused()) == ([(second, False)], "no_payment_method")
    assert shop.ledger.open_topup("acme", "t1", "p1")["reason"] == "no_payment_method"
    shop.choose(second)
    assert shop.paused() is None
    assert shop.ledger.open_topup("acme", "t2", "p2")["topup_id"] == "t2"


def test_card_that_is_stripes_default_already_is_chosen_all_the_same(shop: Shop) -> None:
    first, second = shop.add(), shop.add("pm_card_amex")
    shop.choose(first)
    shop.ledger.set_default_payment_method("acme", second, {}, "a purchase")
    assert dict(shop.listed())[second]
    shop.choose(first)
    assert sorted(shop.listed()) == sorted([(first, True), (second, False)])


def test_removing_the_last_card_pauses_and_t35_off_stays_off(shop: Shop) -> None:
    method = shop.add()
    shop.choose(method)
    shop.enable()
    shop.remove(method)
    assert (shop.listed(), shop.paused()) == ([], "no_payment_method")
    shop.ledger.set_auto_topup("acme", {"enabled": False}, "tests")
    shop.choose(shop.add())
    assert shop.ledger.get_auto_topup("acme")["enabled"] is False


@pytest.mark.parametrize("method", ["theirs", "detached", "pm_card_visa", "pm_unknown"])
def test_somebody_elses_card_is_404_and_stays_where_it_is(shop: Shop, money: Counts, method: str) -> None:
    shop.choose(shop.add())
    other = shop.stripe.v1.customers.create({"name": "Other"}).id
    if method in ("theirs", "detached"):
        theirs = shop.stripe.v1.payment_methods.attach("pm_card_amex", {"customer": other}).id
        if method == "detached":
            shop.stripe.v1.payment_methods.detach(theirs)
        method = theirs
    holder = shop.stripe.v1.payment_methods.retrieve(method).customer if method != "pm_unknown" else None
    before = money()
    for answer in (shop.choose(method), shop.remove(method)):
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert money() == before
    if method != "pm_unknown":
        assert shop.stripe.v1.payment_methods.retrieve(method).customer == holder


def test_account_without_a_customer_has_no_cards(shop: Shop, money: Counts) -> None:
    before = money()
    assert shop.listed() == []
    for answer in (shop.choose("pm_1"), shop.remove("pm_1")):
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert money() == before


def test_odd_ids_never_reach_stripe(shop: Shop) -> None:
    asked = len(shop.local.control.requests())
    for odd in ("pm_1%2F..%2F..%2Fcharges", "pm%201", "x" * 256, "pm_1%3Fexpand"):
        assert shop.choose(odd).status_code == 422
        assert shop.remove(odd).status_code == 422
    assert len(shop.local.control.requests()) == asked


def test_stripe_away_is_503_and_nothing_has_changed(shop: Shop, money: Counts) -> None:
    method = shop.add()
    shop.choose(method)
    before = money()
    shop.local.control.fail(path="/v1/*", kind=503, stage="before", saved=False, times=99)
    answers = [shop.post(SETUP), shop.choose(method), shop.remove(method), shop.post(PORTAL)]
    shop.local.control.clear_faults()
    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(503, "stripe_unavailable")}
    assert money() == before
    assert shop.stripe.v1.payment_methods.retrieve(method).customer == shop.customer
    assert shop.listed() == [(method, True)]


def test_answer_that_was_lost_after_removal_is_made_good_by_a_repeat(shop: Shop) -> None:
    method = shop.add()
    shop.choose(method)
    shop.local.control.fail(path="/v1/customers/*", method="get", kind=503, saved=False, times=9)
    assert shop.remove(method).status_code == 503
    shop.local.control.clear_faults()
    assert shop.remove(method).status_code == 200
    assert shop.listed() == []


def test_portal_returns_to_own_pages_only(shop: Shop) -> None:
    answer = shop.post(PORTAL, {"return_path": "/billing?tab=cards"})
    assert (answer.status_code, set(answer.json)) == (201, {"url"})
    assert answer.json["url"].startswith(shop.local.url)
    (sent,) = shop.local.control.requests(method="POST", path="/v1/billing_portal/sessions")
    assert sent["params"] == {
        "customer": shop.customer,
        "return_url": "http://localhost:8000/billing?tab=cards",
    }
    for odd in ("//evil.example", "/\\evil.example", "https://evil.example", "@evil.example", ".evil.example",
                "", "/a b", "/a\nb", "/ä", "x" * 2001, 1, None):  # fmt: skip
        refused = shop.post(PORTAL, {"return_path": odd})
        assert (refused.status_code, refused.json["code"]) == (422, "invalid_request"), odd
    assert len(shop.local.control.requests(method="POST", path="/v1/billing_portal/sessions")) == 1


def test_bound_key_never_touches_another_account_and_reading_does_not_write(
    shop: Shop, key: KeyMaker, ledger: Ledger, money: Counts
) -> None:
    method = shop.add()
    shop.choose(method)
    ledger.open_account("other", "Other", None, None, 0, "tests")
    token, reader = key(ALL_SCOPES, "other"), key(["read", "spend"], "acme")
    before = money()
    calls = [("POST", SETUP), ("POST", f"{METHODS}/{method}/default"), ("POST", PORTAL), ("POST", BUY)]
    for verb, path in calls:
        body = {"account_id": "acme"} | ({"package_id": "credits_100"} if path == BUY else {})
        answer = shop.client.open(path, method=verb, json=body, headers=token)
        assert (answer.status_code, answer.json["code"]) == (404, "unknown_account"), path
        del body["account_id"]
        answer = shop.client.open(path, method=verb, json=body, headers=reader)
        assert (answer.status_code, answer.json["code"]) == (403, "scope_missing"), path
    for verb, path in (("GET", METHODS), ("DELETE", f"{METHODS}/{method}")):
        answer = shop.client.open(f"{path}?account_id=acme", method=verb, headers=token)
        assert (answer.status_code, answer.json["code"]) == (404, "unknown_account"), path
    assert shop.client.delete(f"{METHODS}/{method}", headers=token).json["code"] == "not_found"
    assert shop.client.delete(f"{METHODS}/{method}", headers=reader).status_code == 403
    assert shop.client.get(METHODS, headers=reader).status_code == 200
    assert money() == before


def test_purchase_is_a_row_first_and_an_intent_that_saves_the_card(shop: Shop) -> None:
    answer = shop.post(BUY, {"package_id": "credits_250", "quantity": 2})
    assert answer.status_code == 201
    payment = shop.ledger.get_payment(answer.json["id"])
    assert payment is not None
    intent = shop.stripe.v1.payment_intents.retrieve(str(payment["stripe_payment_intent_id"])).to_dict()
    assert answer.json == {
        "id": payment["id"],
        "client_secret": intent["client_secret"],
        "amount": 2000,
        "currency": "usd",
    }
    sealed = Sealer("a test key").metadata_of(payment, payment_id=payment["id"], topup_id=None)
    assert (intent["amount"], intent["customer"], intent["setup_future_usage"], intent["metadata"]) == (
        2000, shop.customer, "off_session", sealed,
    )  # fmt: skip
    assert intent["status"] == "requires_payment_method"


def test_repeated_purchase_answers_the_same_and_another_body_is_refused(shop: Shop) -> None:
    body, once = {"package_id": "credits_250"}, {"Idempotency-Key": "order-1"}
    shop.local.control.fail(path="/v1/payment_intents", kind="cut", stage="after", saved=True, times=3)
    assert shop.post(BUY, body, **once).status_code == 503
    shop.local.control.clear_faults()
    first, second = (shop.post(BUY, body, **once) for _ in range(2))
    assert (first.status_code, first.json) == (201, second.json)
    assert shop.post(BUY, body | {"quantity": 2}, **once).json["code"] == "idempotency_key_reused"
    assert len(shop.stripe.v1.payment_intents.list({"customer": shop.customer}).data) == 1
    assert shop.post(BUY, body).json["id"] != first.json["id"]


def test_purchase_is_refused_while_a_top_up_is_in_flight(shop: Shop, money: Counts) -> None:
    shop.choose(shop.add())
    shop.enable()
    shop.ledger.spend_credits("acme", {"id": "s", "amount": 95 * CREDIT})
    assert shop.ledger.open_topup("acme", "t1", "p1")["topup_id"]
    before = money()
    for body, code in (
        ({"package_id": "credits_100"}, "topup_in_flight"),
        ({"package_id": "x"}, "unknown_package"),
    ):
        assert shop.post(BUY, body).json["code"] == code
    assert money() == before
    assert len(shop.local.control.requests(method="POST", path="/v1/payment_intents")) == 0


def test_no_secret_and_no_card_is_logged(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("stripe", "urllib3"):  # as observability.configure does at every level
        caplog.set_level(logging.WARNING, logger=name)
    method = shop.add()
    shop.choose(method)
    bought = shop.post(BUY, {"package_id": "credits_100"}).json
    shop.remove(method)
    written = "\n".join(JsonFormatter("web").format(record) for record in caplog.records)
    for secret in (bought["client_secret"], "_secret_", "4242"):
        assert secret not in written
