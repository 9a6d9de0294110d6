"""Buying and cards as pages: which order is which purchase, what a stale tab finds, floods, and the ways to Stripe."""

from __future__ import annotations

import re

import pytest
import stripe
from limits import parse

from local.stripe.app import LocalStripe
from shared import queue as queues
from shared.ledger import Ledger
from shared.settings import Settings
from shared.stripe_client import StripeRefused
from tests.support import Database
from tests.web.browsing import rows
from tests.web.conftest import Counts
from tests.web.test_money_pages import (
    BUY,
    Browser,
    add_card,
    app,
    card,
    client_at_stripe,
    owner,
    server,
    settings,
)
from tests.web.test_topup_pages import hints
from web import cards, limits
from web.api.auto_topup import CONSENT_TEXT_VERSION
from web.security import payment_policy

__all__ = ["app", "card", "client_at_stripe", "hints", "owner", "server", "settings"]
FORM = "form_" + "0" * 32


def test_another_package_or_another_quantity_is_another_purchase(owner: Browser, ledger: Ledger) -> None:
    ways = [BUY, BUY | {"quantity": "3", "quoted": "3"}, BUY | {"package_id": "credits_100"}]
    urls = {owner.post("/billing/checkout", **way).location for way in ways}
    assert len(urls) == 3
    bought = [(p["package_id"], p["quantity"]) for p in ledger.list_payments("acme", 9, None)["data"]]
    assert sorted(bought) == [("credits_100", 2), ("credits_250", 2), ("credits_250", 3)]


def test_stale_tab_never_leads_to_a_checkout_that_was_given_up(owner: Browser, ledger: Ledger) -> None:
    first = owner.post("/billing/checkout", **BUY).location
    payment = ledger.list_payments("acme", 1, None)["data"][0]["id"]
    assert owner.post(f"/billing/buy/{payment}/cancel").status_code == 303
    for stale in (owner.post("/billing/checkout", **BUY), owner.post("/billing/buy/pay", **BUY)):
        assert stale.location == f"/billing/failure?payment={payment}"
        assert stale.location != first
    assert len(ledger.list_payments("acme", 9, None)["data"]) == 1


def test_back_button_after_paying_shows_what_became_of_it_and_asks_for_no_card(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient
) -> None:
    here = owner.post("/billing/buy/pay", **BUY).location
    intent = ledger.list_payments("acme", 1, None)["data"][0]["stripe_payment_intent_id"]
    client_at_stripe.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    # Before Stripe's event: the books say open, Stripe says paid.
    assert "/billing/success" in owner.get(here).location
    assert "Waiting for the payment" in owner.get(owner.get(here).location).text


def test_a_purchase_that_is_being_paid_is_not_given_up(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient
) -> None:
    payment = owner.post("/billing/buy/pay", **BUY).location.rpartition("/")[2]
    intent = ledger.list_payments("acme", 1, None)["data"][0]["stripe_payment_intent_id"]
    client_at_stripe.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    owner.post(f"/billing/buy/{payment}/cancel")
    found = ledger.get_payment(payment)
    assert found is not None
    assert found["status"] == "open"


def test_a_paid_purchase_is_not_given_up(owner: Browser, ledger: Ledger, database: Database) -> None:
    payment = owner.post("/billing/buy/pay", **BUY).location.rpartition("/")[2]
    rows(database, "update billing.payments set status = 'succeeded' returning 1")
    owner.post(f"/billing/buy/{payment}/cancel")
    found = ledger.get_payment(payment)
    assert found is not None
    assert found["status"] == "succeeded"


def test_a_customer_who_was_deleted_at_stripe_is_replaced_before_anything_is_bought(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient, database: Database
) -> None:
    owner.post("/billing/checkout", **BUY)
    before = str(ledger.get_customer("acme")["stripe_customer_id"])  # type: ignore[index]
    client_at_stripe.v1.customers.delete(before)
    ledger.mark_customer_deleted(before)
    assert owner.post("/billing/checkout", **BUY | {"package_id": "credits_600"}).status_code == 303
    after = str(ledger.get_customer("acme")["stripe_customer_id"])  # type: ignore[index]
    assert after != before
    newest = "select stripe_customer_id from billing.payments order by created_at desc limit 1"
    assert rows(database, newest) == [(after,)]


def test_a_card_form_that_was_left_saves_nothing(owner: Browser, ledger: Ledger) -> None:
    form = owner.post("/billing/payment-methods/add", request_id=FORM).location
    answer = owner.get(form.replace("/add/", "/added/"))
    assert answer.status_code == 303
    assert "The card is saved" not in owner.get("/billing/payment-methods").text
    assert ledger.list_payment_methods("acme") == []


def test_a_new_card_has_the_threshold_looked_at(
    owner: Browser, ledger: Ledger, client_at_stripe: stripe.StripeClient, hints: list[tuple[str, ...]]
) -> None:
    caps = {"day": 10_000, "month": 50_000, "per_hour": 3, "currency": "usd"}
    topup = {"enabled": True, "threshold": 500_000_000, "mode": "fixed", "credits": 600_000_000, "caps": caps}
    ledger.set_auto_topup("acme", topup | {"text_version": CONSENT_TEXT_VERSION}, "tests")
    ledger.spend_credits("acme", {"id": "spent", "amount": 1_000_000})
    add_card(owner, client_at_stripe)
    assert (queues.CHECK_THRESHOLD, "acme") in hints


def test_purchase_that_is_over_shows_its_end_and_no_form(owner: Browser, ledger: Ledger) -> None:
    here = owner.post("/billing/buy/pay", **BUY).location
    payment = here.rpartition("/")[2]
    ledger.fail_payment(payment, "failed", "insufficient_funds")
    assert owner.get(here).location == f"/billing/failure?payment={payment}"


@pytest.mark.parametrize("status", ["open", "processing"])
def test_nothing_is_said_to_be_added_before_it_is_granted(
    owner: Browser, ledger: Ledger, database: Database, status: str
) -> None:
    here = owner.post("/billing/buy/pay", **BUY).location
    rows(database, f"update billing.payments set status = '{status}' returning 1")
    for part in ("", "&part=1"):
        page = owner.get(f"/billing/success?payment={here.rpartition('/')[2]}{part}").text
        assert "Waiting for the payment" in page
        assert "hx-get" in page
        assert "credits added" not in page
        assert "New balance" not in page


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("checkout", BUY),
        ("buy/pay", BUY),
        ("plans/subscribe", {"plan_id": "pro"}),
        ("payment-methods/add", {}),
    ],
)
def test_form_without_a_whole_id_opens_nothing(
    owner: Browser, server: LocalStripe, money: Counts, path: str, fields: dict[str, str]
) -> None:
    before, asked = money(), len(server.control.requests())
    for request_id in ("", "form_", "x", "form_\N{SUPERSCRIPT TWO}", "form_0\n", FORM + "/../x", "x" * 3000):
        assert owner.post(f"/billing/{path}", **fields | {"request_id": request_id}).status_code == 422
    assert money() == before
    assert len(server.control.requests()) == asked


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("checkout", BUY),
        ("buy/pay", BUY),
        ("plans/subscribe", {"plan_id": "pro", "request_id": FORM}),
        ("payment-methods/add", {"request_id": FORM}),
        ("payment-methods/pm_none/default", {}),
        ("payment-methods/pm_none/remove", {}),
        ("portal", {}),
    ],
)
def test_90_forms_that_ask_stripe_are_limited(
    owner: Browser,
    server: LocalStripe,
    money: Counts,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fields: dict[str, str],
) -> None:
    monkeypatch.setattr(limits, "PER_ACCOUNT", parse("2 per hour"))
    for _ in range(2):
        assert owner.post(f"/billing/{path}", **fields).status_code in (303, 404)
    before, asked = money(), len(server.control.requests())
    refused = owner.post(f"/billing/{path}", **fields)
    assert refused.status_code == 429
    assert "Too many tries" in refused.text
    assert money() == before
    assert len(server.control.requests()) == asked


def test_90_the_page_of_a_card_form_is_limited_too(owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    form = owner.post("/billing/payment-methods/add", request_id=FORM).location
    monkeypatch.setattr(limits, "PER_ACCOUNT", parse("3 per hour"))
    assert [owner.get(form).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_double_click_begins_one_card(owner: Browser, server: LocalStripe) -> None:
    first, second = (owner.post("/billing/payment-methods/add", request_id=FORM).location for _ in range(2))
    assert first == second
    assert owner.post("/billing/payment-methods/add", request_id="form_" + "1" * 32).location != first


def test_portal_leads_back_to_own_pages_only(owner: Browser, server: LocalStripe, settings: Settings) -> None:
    for back in ("", "plans", "https://evil.example", "//evil.example", "/billing/../x", "@evil.example"):
        assert owner.post("/billing/portal", back=back).location.startswith(server.url)
    sent = server.control.requests(method="POST", path="/v1/billing_portal/sessions")
    own = [f"{settings.base_url}/billing/{page}" for page in ("payment-methods", "plans")]
    assert [request["params"]["return_url"] for request in sent] == [own[0], own[1], *[own[0]] * 4]


def test_portal_that_is_not_set_up_is_a_page_that_says_so(
    owner: Browser, money: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StripeRefused("No configuration provided", stripe_code=None, param=None)

    monkeypatch.setattr(cards, "open_portal", refuse)
    before = money()
    answer = owner.post("/billing/portal")
    assert answer.status_code == 409
    assert "not set up for this service yet" in answer.text
    after = money()
    assert {name for name in before if before[name] != after[name]} == {"outbox"}, "the operators' notice"


def test_only_the_pages_with_stripes_form_let_stripe_in(owner: Browser, settings: Settings) -> None:
    forms = [
        owner.post("/billing/buy/pay", **BUY).location,
        owner.post("/billing/payment-methods/add", request_id=FORM).location,
    ]
    for path in forms:
        page = owner.get(path)
        assert page.status_code == 200
        assert page.headers.getlist("Content-Security-Policy") == [payment_policy(settings)]
        assert re.search(
            rf'<script src="{re.escape(settings.stripe_api_base or "")}/\w+/stripe\.js"', page.text
        )
    for path in ("buy", "payment-methods", "auto-topup", "plans", ""):
        page = owner.get(f"/billing/{path}")
        assert "frame-src" not in page.headers["Content-Security-Policy"]
        assert "stripe.js" not in page.text


def test_expiry_is_told_from_the_month_before_on(
    owner: Browser, card: str, database: Database, client_at_stripe: stripe.StripeClient
) -> None:
    add_card(owner, client_at_stripe, "pm_card_mastercard")
    for months, said in ((-1, "Expired<"), (0, "Expires soon<"), (1, "Expires soon<"), (2, None)):
        rows(
            database,
            "update billing.payment_methods set exp_year = extract(year from t), exp_month = extract(month from t)"
            " from (select date_trunc('month', now() at time zone 'UTC')"
            f" + make_interval(months => {months}) as t) x where id = '{card}' returning 1",
        )
        shown = re.search(rf'<tr id="{card}">.*?</tr>', owner.get("/billing/payment-methods").text, re.DOTALL)
        assert shown is not None
        assert [word for word in ("Expired<", "Expires soon<") if word in shown[0]] == (
            [said] if said else []
        )
