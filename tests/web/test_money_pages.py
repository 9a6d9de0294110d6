"""Buying, payments, cards, auto top-up and plans as pages, over the local Stripe: what forms take, refuse, and change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from local.stripe.app import LocalStripe
from shared.ledger import Ledger
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database
from tests.web.browsing import token_of
from tests.web.conftest import Counts, make_settings
from web import create_app
from web.api.auto_topup import CONSENT_TEXT_VERSION
from web.local_login import login_url

CREDIT = 1_000_000
BUY = {"request_id": "form_0", "package_id": "credits_250", "quantity": "2", "quoted": "2"}
TOPUP = {
    "threshold": "50", "mode": "fixed", "amount": "100", "cap_day": "$100.00", "cap_month": "500", "per_hour": "3",
    "card": "", "consent": CONSENT_TEXT_VERSION,
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[LocalStripe]:
    """One a test: payments of the pages have ids that follow from the account, and Stripe keeps their keys."""
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def settings(dsn: str, redis_url: str, server: LocalStripe) -> Settings:
    return make_settings(
        dsn, redis_url, STRIPE_API_BASE=server.url, STRIPE_PUBLISHABLE_KEY="pk_test_web", SIGNUP_CREDITS="0"
    )


@pytest.fixture
def client_at_stripe(server: LocalStripe) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_web", base_addresses={"api": server.url})


@pytest.fixture
def app(settings: Settings, ledger: Ledger, queue: Queue, client_at_stripe: stripe.StripeClient) -> Flask:
    return create_app(
        settings,
        ledger=ledger,
        queue=queue,
        gateway=StripeGateway(client_at_stripe, Sealer("test sealing key")),
    )


class Browser:
    """Somebody who is signed in."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, **fields: str) -> TestResponse:
        token = token_of(self.client.get("/billing/buy").text)
        return self.client.post(path, data={"csrf_token": token} | fields)


@pytest.fixture
def owner(app: Flask, settings: Settings, acme: str) -> Browser:
    client = app.test_client()
    url = urlsplit(login_url(settings, acme))
    assert client.get(f"{url.path}?{url.query}").status_code == 303
    return Browser(client)


@pytest.fixture
def card(ledger: Ledger, owner: Browser, client_at_stripe: stripe.StripeClient) -> str:
    """A card, added on the pages."""
    return add_card(owner, client_at_stripe)


def add_card(owner: Browser, at_stripe: stripe.StripeClient, name: str = "pm_card_visa") -> str:
    request_id = re.findall(
        r'name="request_id" value="(form_\w+)"', owner.get("/billing/payment-methods").text
    )[0]
    form = owner.post("/billing/payment-methods/add", request_id=request_id).location
    intent_id = form.rsplit("/", 1)[-1]
    page = owner.get(form)
    assert f"{intent_id}_secret_" in page.text
    assert "/stripe.js" in page.text
    method = at_stripe.v1.setup_intents.confirm(intent_id, {"payment_method": name}).payment_method
    assert owner.get(f"/billing/payment-methods/added/{intent_id}").status_code == 303
    return str(method)


def test_order_says_what_is_charged_and_granted(owner: Browser, ledger: Ledger) -> None:
    ledger.set_fee_rule({"id": "fee", "kind": "fee", "label": "Handling", "percent": "0", "fixed": 50, "applies_to": "both",
                         "currency": None}, "tests")  # fmt: skip
    page = owner.get("/billing/buy?package_id=credits_250&quantity=3").text
    for text in (
        "750 credits",
        "3 \N{MULTIPLICATION SIGN} 250 credits",
        "$30.00",
        "Handling",
        "$0.50",
        "Pay $30.50 at Stripe",
    ):
        assert text in page
    owner.post("/billing/checkout", **BUY | {"quantity": "3", "quoted": "3"})
    opened = ledger.list_payments("acme", 1, None)["data"][0]
    assert (opened["amount"], opened["credits"], opened["quantity"]) == (3050, 750 * CREDIT, 3)


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "1001", "x", "99999", "\N{SUPERSCRIPT TWO}"])
def test_odd_quantities_are_refused_and_nothing_moves(owner: Browser, money: Counts, quantity: str) -> None:
    before = money()
    assert owner.get(f"/billing/buy?package_id=credits_250&quantity={quantity}").status_code == 422
    for path in ("/billing/checkout", "/billing/buy/pay", "/billing/buy"):
        answer = owner.post(path, **BUY | {"quantity": quantity})
        assert answer.status_code == 422
        # The order that was shown stays, with what was typed and what is wrong with it.
        assert "2 \N{MULTIPLICATION SIGN} 250 credits" in answer.text
        field = re.search(r'<input id="quantity"[^>]*>', answer.text)
        assert field is not None
        assert f'value="{quantity}"' in field[0]
        assert 'aria-invalid="true" aria-describedby="quantity-fault"' in field[0]
        assert (
            'id="quantity-fault" class="fault">The quantity is a whole number from 1 to 1000.' in answer.text
        )
    assert money() == before


def test_quantity_that_is_too_dear_is_a_fault_of_the_field(
    owner: Browser, database: Database, money: Counts
) -> None:
    with database.connect() as connection:
        connection.execute(
            "insert into billing.credit_packages (id, name, credits, amount, currency)"
            " values ('dear', 'A lot', 1000000, 500000, 'usd')"
        )
    before = money()
    answer = owner.post("/billing/checkout", **BUY | {"package_id": "dear", "quantity": "999", "quoted": "1"})
    assert answer.status_code == 422
    assert "more than one payment may carry" in answer.text.split('id="quantity-fault"')[1]
    assert money() == before


@pytest.mark.parametrize("path", ["/billing/checkout", "/billing/buy/pay"])
@pytest.mark.parametrize("quoted", ["1", "", "x"])
def test_another_number_than_that_of_the_total_charges_nothing_and_shows_the_new_total(
    owner: Browser, money: Counts, path: str, quoted: str
) -> None:
    before = money()
    answer = owner.post(path, **BUY | {"quoted": quoted})
    assert (answer.status_code, answer.location) == (303, "/billing/buy?package_id=credits_250&quantity=2")
    shown = owner.get(answer.location).text
    for text in (
        "The total has changed.",
        "2 \N{MULTIPLICATION SIGN} 250 credits",
        "Pay $20.00 at Stripe",
        'name="quoted" value="2"',
    ):
        assert text in shown
    assert money() == before


def test_changing_the_number_pays_nothing(owner: Browser, money: Counts) -> None:
    before = money()
    answer = owner.post("/billing/buy", **BUY | {"quantity": "5"})
    assert (answer.status_code, answer.location) == (303, "/billing/buy?package_id=credits_250&quantity=5")
    assert "The total has changed" not in owner.get(answer.location).text
    assert money() == before


def test_ways_to_pay_and_the_number_are_one_form_that_enter_does_not_pay(owner: Browser) -> None:
    page = owner.get("/billing/buy?package_id=credits_250&quantity=2").text
    (form,) = re.findall(r'<form method="post" action="/billing/checkout".*?</form>', page, re.DOTALL)
    assert 'id="quantity"' in form
    buttons = re.findall(r"<button[^>]*>([^<]+)<", form)
    assert buttons == ["Update", "Pay $20.00 at Stripe", "Pay right here"]


def test_price_is_the_catalogues_whatever_a_form_says(owner: Browser, ledger: Ledger) -> None:
    owner.post("/billing/checkout", **BUY, amount="1", total="1", price="1", currency="jpy", credits="999999")
    opened = ledger.list_payments("acme", 1, None)["data"][0]
    assert (opened["amount"], opened["currency"], opened["credits"]) == (2000, "usd", 500 * CREDIT)


@pytest.mark.parametrize(
    "ways",
    [("checkout", "checkout"), ("buy/pay", "buy/pay"), ("checkout", "buy/pay"), ("buy/pay", "checkout")],
)
def test_54_second_tab_finds_the_purchase_of_the_first(
    owner: Browser, ledger: Ledger, ways: tuple[str, str]
) -> None:
    first, second = (owner.post(f"/billing/{way}", **BUY) for way in ways)
    assert (first.status_code, second.location) == (303, first.location)
    assert len(ledger.list_payments("acme", 10, None)["data"]) == 1


def test_next_purchase_is_another_one_once_the_first_is_over(owner: Browser, ledger: Ledger) -> None:
    page = "/billing/buy?package_id=credits_250&quantity=2"
    here = owner.post("/billing/buy/pay", **BUY).location
    assert 'value="form_0"' in owner.get(page).text
    assert owner.post(f"{here}/cancel").status_code == 303
    assert 'value="form_1"' in owner.get(page).text
    # The stale tab shows what became of its purchase, and opens none.
    assert "/billing/failure" in owner.post("/billing/checkout", **BUY).location
    assert "you turned back" in owner.get(owner.post("/billing/checkout", **BUY).location).text
    assert owner.post("/billing/buy/pay", **BUY | {"request_id": "form_1"}).location != here
    assert [row["status"] for row in ledger.list_payments("acme", 9, None)["data"]] == ["open", "canceled"]


def test_purchase_that_was_given_up_cannot_be_paid(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient
) -> None:
    here = owner.post("/billing/buy/pay", **BUY).location
    owner.post(f"{here}/cancel")
    intent = ledger.list_payments("acme", 1, None)["data"][0]["stripe_payment_intent_id"]
    with pytest.raises(stripe.StripeError):
        client_at_stripe.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})


def test_purchase_that_was_paid_is_not_given_up(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient
) -> None:
    here = owner.post("/billing/buy/pay", **BUY).location
    intent = ledger.list_payments("acme", 1, None)["data"][0]["stripe_payment_intent_id"]
    client_at_stripe.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert "/billing/success" in owner.post(f"{here}/cancel").location
    assert ledger.list_payments("acme", 1, None)["data"][0]["status"] == "open"


def test_card_is_added_chosen_and_removed(
    owner: Browser, ledger: Ledger, card: str, client_at_stripe: stripe.StripeClient
) -> None:
    other = add_card(owner, client_at_stripe, "pm_card_mastercard")
    assert [m["id"] for m in ledger.list_payment_methods("acme")] == [card, other]
    owner.post(f"/billing/payment-methods/{other}/default")
    page = owner.get("/billing/payment-methods").text
    assert page.index("Mastercard") < page.index("Default") < page.index("Visa")
    assert "not the default" in owner.get(f"/billing/payment-methods/{card}/remove").text
    owner.post("/billing/auto-topup", **TOPUP | {"card": other})
    assert "Auto top-up charges this card" in owner.get(f"/billing/payment-methods/{other}/remove").text
    owner.post(f"/billing/payment-methods/{other}/remove")
    assert ledger.get_auto_topup("acme")["paused_reason"] == "no_payment_method"
    assert "Mastercard •••• 4444 was removed." in owner.get("/billing/payment-methods").text


def test_81_cards_of_others_are_not_found(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient, money: Counts
) -> None:
    customer = client_at_stripe.v1.customers.create({})
    theirs = client_at_stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}).id
    intent = client_at_stripe.v1.setup_intents.create({"customer": customer.id}).id
    before = money()
    for path in (f"{theirs}/default", f"{theirs}/remove"):
        assert owner.post(f"/billing/payment-methods/{path}").status_code == 404
    for path in (f"add/{intent}", f"added/{intent}", f"{theirs}/remove", "add/seti_none"):
        assert owner.get(f"/billing/payment-methods/{path}").status_code == 404
    assert money() == before


def test_payments_are_one_list_with_pages(owner: Browser, ledger: Ledger) -> None:
    assert "Nothing was paid yet" in owner.get("/billing/payments").text
    ledger.link_customer("acme", "cus_pages")
    for number in range(23):
        ledger.open_purchase(f"pay_{number}", "acme", "credits_100", 1, "cus_pages")
    ledger.fail_payment("pay_3", "failed", "insufficient_funds")
    first = owner.get("/billing/payments").text
    older = re.search(r'href="(/billing/payments\?cursor=[^"]+)"', first)
    assert older is not None
    second = owner.get(older[1]).text
    shown = re.findall(r'<tr id="(pay_\d+)"', first + second)
    assert len(shown) == len(set(shown)) == 23
    assert "The card has insufficient funds." in first + second
    assert owner.get("/billing/payments?cursor=pay_none").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "buy",
        "buy?package_id=credits_100",
        "payments",
        "payment-methods",
        "auto-topup",
        "plans",
        "review",
        "fault",
        "pay_here",
    ],
)
def test_pages_ask_the_database_at_most_eight_times(
    owner: Browser, ledger: Ledger, card: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    made = "&".join(f"{name}={value}" for name, value in (TOPUP | {"card": card}).items())
    paths = {
        "review": f"/billing/auto-topup/review?{made}",
        "fault": f"/billing/auto-topup/review?{made}&mode=x".replace("mode=fixed", "mode=x"),
        "pay_here": owner.post("/billing/buy/pay", **BUY).location,
    }
    calls: list[str] = []
    asked: Callable[..., object] = ledger.database.call

    def count(function: str, **params: object) -> object:
        calls.append(function)
        return asked(function, **params)

    monkeypatch.setattr(ledger.database, "call", count)
    answer = owner.get(paths.get(path, f"/billing/{path}"))
    assert answer.status_code == (422 if path == "fault" else 200)
    assert 0 < len(calls) <= 8, calls


@pytest.mark.parametrize(
    "path",
    ["checkout", "buy/pay", "buy/pay_1/cancel", "payment-methods/add", "payment-methods/pm_1/default",
     "payment-methods/pm_1/remove", "portal", "auto-topup", "auto-topup/off", "auto-topup/resume", "plans/subscribe", "buy"],
)  # fmt: skip
def test_86_forms_of_other_sites_are_refused(owner: Browser, money: Counts, path: str) -> None:
    before = money()
    for token in ({}, {"csrf_token": "wrong"}):
        assert owner.client.post(f"/billing/{path}", data=BUY | TOPUP | token).status_code == 400
    assert money() == before
