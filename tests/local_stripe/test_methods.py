"""Payment methods besides cards: each with its own type; bank debits settle or fail days later."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe

Client = stripe.StripeClient
DAY = 86400
SAVED = {"payment_intent_data": {"setup_future_usage": "off_session"}}


def only_method(client: Client, customer: stripe.Customer) -> stripe.PaymentMethod:
    (found,) = client.v1.customers.payment_methods.list(customer.id).data
    return found


@pytest.mark.parametrize("kind", ["link", "cashapp"])
def test_a_wallet_pays_at_once_and_is_charged_off_session_later(
    client: Client, customer: stripe.Customer, checkout: Any, charge: Any, server: LocalStripe, kind: str
) -> None:
    session = checkout(customer=customer.id, **SAVED)
    assert kind in session.payment_method_types
    done = server.control.pay_checkout(session.id, method=kind)
    assert (done["status"], done["payment_status"]) == ("complete", "paid")
    pm = only_method(client, customer)
    assert (pm.type, pm["type"] in pm, "card" in pm) == (kind, True, False)
    later = charge(pm)
    assert (later.status, later.latest_charge.payment_method_details.type) == ("succeeded", kind)


@pytest.mark.parametrize(
    ("kind", "currency", "days"), [("us_bank_account", "usd", 4), ("sepa_debit", "eur", 5)]
)
def test_a_bank_debit_is_processing_for_days_and_settles_by_the_clock(
    client: Client, customer: stripe.Customer, checkout: Any, charge: Any, server: LocalStripe,
    kind: str, currency: str, days: int,
) -> None:  # fmt: skip
    item = {
        "quantity": 1,
        "price_data": {"currency": currency, "unit_amount": 500, "product_data": {"name": "C"}},
    }
    session = checkout(customer=customer.id, line_items=[item], **SAVED)
    done = server.control.pay_checkout(session.id, method=kind)
    assert (done["status"], done["payment_status"]) == ("complete", "unpaid")
    pm = only_method(client, customer)
    later = charge(pm, currency=currency)
    assert (later.status, later.latest_charge.status) == ("processing", "pending")
    server.control.advance((days - 1) * DAY)
    assert client.v1.payment_intents.retrieve(later.id).status == "processing"
    server.control.advance(DAY)
    assert client.v1.payment_intents.retrieve(later.id).status == "succeeded"
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    details = client.v1.charges.retrieve(later.latest_charge.id).payment_method_details
    assert (details.type, details[kind]["last4"]) == (kind, pm[kind]["last4"])


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ("000222222227", "insufficient_funds"),
        ("000111111113", "account_closed"),
        ("000333333335", "debit_not_authorized"),
    ],
)
def test_a_bank_debit_that_fails_says_so_days_later(
    client: Client, customer: stripe.Customer, checkout: Any, server: LocalStripe, account: str, code: str
) -> None:
    session = checkout(customer=customer.id)
    done = server.control.pay_checkout(session.id, method="us_bank_account", account=account)
    server.control.advance(4 * DAY)
    failed = client.v1.payment_intents.retrieve(done["payment_intent"], {"expand": ["latest_charge"]})
    assert (failed.status, failed.last_payment_error.code) == ("requires_payment_method", code)
    assert (failed.latest_charge.status, failed.latest_charge.failure_code) == ("failed", code)
    types = {event.type for event in client.v1.events.list({"limit": 100}).data}
    assert "checkout.session.async_payment_failed" in types


def test_a_bank_debit_ends_when_the_bank_answers(
    client: Client, charge: Any, customer: Any, server: LocalStripe
) -> None:
    pm = client.v1.payment_methods.attach("pm_usBankAccount_success", {"customer": customer.id})
    first, second = charge(pm), charge(pm)
    server.control.settle(first.id)
    server.control.settle(second.id, outcome="failed")
    assert [client.v1.payment_intents.retrieve(pi.id).status for pi in (first, second)] == [
        "succeeded",
        "requires_payment_method",
    ]


@pytest.mark.parametrize(
    ("name", "currency"), [("us_bank_account", "eur"), ("sepa_debit", "usd"), ("cashapp", "eur")]
)
def test_a_method_is_not_charged_in_a_currency_that_it_does_not_take(
    client: Client, customer: stripe.Customer, charge: Any, server: LocalStripe, name: str, currency: str
) -> None:
    details: dict[str, Any] = {
        "us_bank_account": {"account_number": "000123456789", "routing_number": "110000000"},
        "sepa_debit": {"iban": "DE89370400440532013000"},
        "cashapp": {},
    }
    params: Any = {"type": name, **({name: details[name]} if details[name] else {})}
    pm = client.v1.payment_methods.create(params)
    client.v1.payment_methods.attach(pm.id, {"customer": customer.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        charge(pm, currency=currency)
    assert caught.value.code == "payment_method_currency_mismatch"
    assert server.control.charges(customer.id)["succeeded"] == 0


def test_a_bank_account_is_saved_by_a_setup_intent_and_listed_by_type(
    client: Client, customer: stripe.Customer, card: stripe.PaymentMethod
) -> None:
    intent = client.v1.setup_intents.create({"customer": customer.id, "usage": "off_session"})
    done = client.v1.setup_intents.confirm(intent.id, {"payment_method": "pm_usBankAccount_success"})
    assert done.status == "succeeded"
    (bank,) = client.v1.customers.payment_methods.list(customer.id, {"type": "us_bank_account"}).data
    assert (bank.us_bank_account.last4, bank.us_bank_account.bank_name) == ("6789", "STRIPE TEST BANK")
    assert {pm.id for pm in client.v1.customers.payment_methods.list(customer.id).data} == {card.id, bank.id}


def test_the_page_offers_what_the_currency_allows(
    checkout: Any, customer: stripe.Customer, client: Client
) -> None:
    session = checkout(customer=customer.id)
    page = requests.get(session.url, timeout=5).text
    assert ("US bank account" in page, "Cash App" in page, "SEPA debit" in page) == (True, True, False)
    form = {"email": "ada@example.com", "method": "us_bank_account"}
    requests.post(session.url, data=form, timeout=5, allow_redirects=False)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
    assert client.v1.checkout.sessions.retrieve(session.id).status == "complete"


def test_a_subscription_paid_by_bank_debit_is_active_while_the_debit_is_under_way(
    client: Client, customer: stripe.Customer, checkout: Any, server: LocalStripe
) -> None:
    item = {
        "quantity": 1,
        "price_data": {
            "currency": "usd", "unit_amount": 2000, "product_data": {"name": "Pro"}, "recurring": {"interval": "month"},
        },
    }  # fmt: skip
    session = checkout(mode="subscription", customer=customer.id, line_items=[item])
    done = server.control.pay_checkout(session.id, method="us_bank_account")
    invoice = client.v1.invoices.retrieve(done["invoice"])
    assert (client.v1.subscriptions.retrieve(done["subscription"]).status, invoice.status) == (
        "active",
        "open",
    )
    server.control.advance(4 * DAY)
    assert client.v1.invoices.retrieve(done["invoice"]).status == "paid"
    assert len(client.v1.invoice_payments.list({"invoice": done["invoice"], "status": "paid"}).data) == 1
