"""Checkout Sessions: by form, by program, delayed, expired, refused; subscriptions; the portal."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe
from local.stripe.errors import StripeError
from tests.local_stripe.conftest import Endpoint, wait_until

Client = stripe.StripeClient
SAVE = {"setup_future_usage": "off_session", "metadata": {"order": "7"}}


def form(number: str = "4242 4242 4242 4242", **more: str) -> dict[str, str]:
    return {
        "email": "ada@example.com",
        "number": number,
        "expiry": "12 / 40",
        "cvc": "123",
        "name": "Ada",
        **more,
    }


def submit(url: str, **more: Any) -> requests.Response:
    return requests.post(url, data=form(**more), allow_redirects=False, timeout=5)


def test_the_page_shows_what_is_bought_and_that_it_is_a_test(checkout: Any) -> None:
    page = requests.get(checkout().url, timeout=5).text
    for text in (
        "100 credits",
        "$5.00",
        "Local test mode",
        "Local test merchant",
        "Card number",
        "http://shop.test/cancel",
    ):
        assert text in page
    assert "<script" not in page


def test_paying_by_form_completes_the_session_and_saves_the_card(
    client: Client, customer: stripe.Customer, checkout: Any, charge: Any, endpoint: Endpoint
) -> None:
    session = checkout(
        customer=customer.id, payment_intent_data=SAVE, client_reference_id="acct", metadata={"a": "1"}
    )
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    answer = submit(session.url)
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        f"http://shop.test/ok?session={session.id}",
    )
    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge", "line_items"]}
    )
    assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "paid", 500)
    assert paid.customer_details is not None
    assert paid.customer_details.email == "ada@example.com"
    assert paid.line_items is not None
    assert paid.line_items.data[0].description == "100 credits"
    pi: Any = paid.payment_intent
    assert pi.metadata.to_dict() == {"order": "7"}
    assert pi.latest_charge.status == "succeeded"
    saved = client.v1.customers.payment_methods.list(customer.id).data
    assert [method.id for method in saved] == [pi.payment_method]
    assert charge(saved[0]).status == "succeeded"
    wait_until(lambda: "checkout.session.completed" in endpoint.types())
    expected = {
        "payment_intent.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
    }
    wait_until(lambda: expected <= set(endpoint.types()))


def test_without_a_customer_nothing_is_saved(
    checkout: Any, server: LocalStripe, charge: Any, client: Client
) -> None:
    session = server.control.pay_checkout(checkout().id)
    assert (session["payment_status"], session["customer"]) == ("paid", None)
    pi = client.v1.payment_intents.retrieve(session["payment_intent"])
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        charge(pi.payment_method)


def test_the_customers_own_email_is_kept(
    checkout: Any, server: LocalStripe, customer: stripe.Customer
) -> None:
    session = server.control.pay_checkout(checkout(customer=customer.id).id)
    assert session["customer_details"]["email"] == "ada@example.com"


def test_a_program_pays_over_http(checkout: Any, server: LocalStripe, client: Client) -> None:
    session = checkout()
    url = f"{server.url}/_local/checkout/{session.id}/pay"
    assert requests.post(url, json={"card": "4242424242424242"}, timeout=5).json()["status"] == "complete"
    again = requests.post(url, json={}, timeout=5)
    assert again.status_code == 400
    assert "complete" in again.json()["error"]["message"]
    assert server.control.charges()["succeeded"] == 1


def test_a_decline_is_shown_on_the_page_and_another_card_pays(
    checkout: Any, client: Client, server: LocalStripe
) -> None:
    session = checkout()
    refused = submit(session.url, number="4000000000009995")
    assert refused.status_code == 200
    assert 'role="alert">Your card has insufficient funds.' in refused.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert submit(session.url).status_code == 303
    assert server.control.charges() == {"succeeded": 1, "failed": 1, "amount": 500, "refunded": 0}
    assert len(client.v1.payment_intents.list().data) == 1


@pytest.mark.parametrize(("field", "value", "message"), [
    ("number", "4242424242424241", "card number is incorrect"),
    ("expiry", "soon", "expiry date"),
    ("expiry", "12/20", "expiration year"),
    ("email", "", "Enter your email"),
])  # fmt: skip
def test_bad_input_is_explained(checkout: Any, field: str, value: str, message: str) -> None:
    answer = submit(checkout().url, **{field: value})
    assert answer.status_code in (200, 400)
    assert message in answer.text


def test_three_d_secure_goes_through_its_own_page(checkout: Any, client: Client, server: LocalStripe) -> None:
    session = checkout()
    to_bank = submit(session.url, number="4000002760003184")
    page = server.url + to_bank.headers["Location"]
    assert "Authorize" in requests.get(page, timeout=5).text
    failed = requests.post(page, {"answer": "fail"}, allow_redirects=False, timeout=5)
    assert 'role="alert"' in failed.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    to_bank = submit(session.url, number="4000002760003184")
    done = requests.post(
        server.url + to_bank.headers["Location"], {"answer": "authorize"}, allow_redirects=False, timeout=5
    )
    assert done.headers["Location"] == f"http://shop.test/ok?session={session.id}"
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


@pytest.mark.parametrize(("outcome", "event", "status"), [
    ("succeeded", "checkout.session.async_payment_succeeded", "paid"),
    ("failed", "checkout.session.async_payment_failed", "unpaid"),
])  # fmt: skip
def test_a_delayed_method_completes_unpaid_and_is_settled_later(
    checkout: Any,
    server: LocalStripe,
    endpoint: Endpoint,
    client: Client,
    outcome: str,
    event: str,
    status: str,
) -> None:
    session = server.control.pay_checkout(checkout().id, outcome="async")
    assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
    wait_until(lambda: {"payment_intent.processing", "checkout.session.completed"} <= set(endpoint.types()))
    server.control.settle(session["payment_intent"], outcome)
    wait_until(lambda: event in endpoint.types())
    assert client.v1.checkout.sessions.retrieve(session["id"]).payment_status == status


def test_setup_mode_saves_a_card_without_a_charge(
    client: Client, customer: stripe.Customer, server: LocalStripe, charge: Any
) -> None:
    session = client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": "http://shop.test"}
    )
    done = server.control.pay_checkout(session.id, card="4000002500003155")
    assert (done["status"], done["payment_status"]) == ("complete", "no_payment_required")
    intent = client.v1.setup_intents.retrieve(done["setup_intent"])
    assert intent.status == "succeeded"
    assert charge(intent.payment_method).status == "succeeded"


def test_an_expired_session_cannot_be_paid(
    checkout: Any, client: Client, server: LocalStripe, endpoint: Endpoint
) -> None:
    session = checkout()
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    assert submit(session.url).status_code == 410
    with pytest.raises(StripeError, match="expired"):
        server.control.pay_checkout(session.id)
    with pytest.raises(stripe.InvalidRequestError, match="expired"):
        client.v1.checkout.sessions.expire(session.id)
    wait_until(lambda: "checkout.session.expired" in endpoint.types())


def test_sessions_expire_by_the_clock_without_being_asked(
    checkout: Any, server: LocalStripe, endpoint: Endpoint
) -> None:
    checkout()
    server.control.advance(86401)
    wait_until(lambda: "checkout.session.expired" in endpoint.types())


def test_expiring_cancels_the_payment_that_was_begun(checkout: Any, client: Client) -> None:
    session = checkout()
    submit(session.url, number="4000000000009995")
    pi = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    assert isinstance(pi, str)
    with pytest.raises(stripe.InvalidRequestError, match="Expire the Checkout Session"):
        client.v1.payment_intents.cancel(pi)
    client.v1.checkout.sessions.expire(session.id)
    assert client.v1.payment_intents.retrieve(pi).status == "canceled"


def test_a_canceled_payment_cannot_be_completed_by_its_session(
    checkout: Any, client: Client, server: LocalStripe
) -> None:
    session = checkout()
    submit(session.url, number="4000000000009995")
    server.control.cancel_payment(str(client.v1.checkout.sessions.retrieve(session.id).payment_intent))
    with pytest.raises(StripeError) as caught:
        server.control.pay_checkout(session.id)
    assert caught.value.error["code"] == "payment_intent_unexpected_state"
    assert "canceled" in submit(session.url).text
    assert server.control.charges()["succeeded"] == 0


@pytest.mark.parametrize("change", [
    {"line_items": []}, {"success_url": None}, {"payment_method_types": ["card"]}, {"ui_mode": "hosted"},
    {"customer": "cus_x"}, {"customer_email": "a@b.c", "customer": "cus_x"}, {"expires_at": 5},
    {"line_items": [{"quantity": 0, "price": "price_x"}]},
])  # fmt: skip
def test_a_wrong_session_is_refused(checkout: Any, client: Client, change: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        checkout(**change)
    assert client.v1.checkout.sessions.list().data == []


def subscribe(client: Client, customer: stripe.Customer) -> str:
    product = client.v1.products.create({"name": "Pro"})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    )
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "success_url": "http://shop.test",
            "line_items": [{"price": price.id, "quantity": 1}],
            "subscription_data": {"metadata": {"plan": "pro"}},
        }
    )
    return session.id


def test_a_subscription_starts_with_a_paid_invoice_and_renews(
    client: Client, customer: stripe.Customer, server: LocalStripe, endpoint: Endpoint
) -> None:
    done = server.control.pay_checkout(subscribe(client, customer))
    subscription = client.v1.subscriptions.retrieve(done["subscription"])
    assert (subscription.status, subscription.metadata["plan"]) == ("active", "pro")
    wait_until(lambda: "invoice.paid" in endpoint.types())
    invoice = server.control.renew(subscription.id)
    assert (invoice["billing_reason"], invoice["status"], invoice["amount_paid"]) == (
        "subscription_cycle",
        "paid",
        2000,
    )
    line = client.v1.invoices.retrieve(invoice["id"], {"expand": ["payments"]}).lines.data[0]
    assert line.period.end > subscription["items"]["data"][0]["current_period_end"]
    assert server.control.charges(customer.id)["amount"] == 4000
    assert "Pro" in requests.get(invoice["hosted_invoice_url"], timeout=5).text
    zero = server.control.renew(subscription.id, amount=0, billing_reason="subscription_update")
    assert (zero["amount_paid"], server.control.charges(customer.id)["succeeded"]) == (0, 2)
    types = [event["type"] for event in endpoint.events if event["type"].startswith("checkout")]
    assert types == ["checkout.session.completed"]


def test_the_invoice_of_a_payment_is_found_on_any_page_of_invoice_payments(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    """Since basil neither a PaymentIntent nor a charge names its invoice."""
    done = server.control.pay_checkout(subscribe(client, customer))
    first = client.v1.subscriptions.retrieve(done["subscription"]).latest_invoice
    for _ in range(11):
        server.control.renew(done["subscription"])
    (payment,) = client.v1.invoice_payments.list({"invoice": str(first)}).data
    intent = str(payment.payment.payment_intent)
    found = client.v1.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent}})
    assert [(one.invoice, one.status, one.amount_paid) for one in found.data] == [(first, "paid", 2000)]
    assert client.v1.invoice_payments.list({"invoice": str(first), "status": "open"}).data == []
    none = {"type": "payment_intent", "payment_intent": "pi_unknown"}
    assert client.v1.invoice_payments.list({"payment": none}).data == []


def test_a_renewal_that_is_declined_is_past_due(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    done = server.control.pay_checkout(subscribe(client, customer))
    server.control.behave(customer.id, times=1)
    invoice = server.control.renew(done["subscription"])
    assert invoice["status"] == "open"
    assert client.v1.subscriptions.retrieve(done["subscription"]).status == "past_due"
    assert client.v1.subscriptions.cancel(done["subscription"]).status == "canceled"


def test_the_portal_lists_adds_and_removes_cards(
    client: Client, customer: stripe.Customer, card: stripe.PaymentMethod
) -> None:
    session = client.v1.billing_portal.sessions.create(
        {"customer": customer.id, "return_url": "http://shop.test"}
    )
    assert "4242" in requests.get(session.url, timeout=5).text
    requests.post(f"{session.url}/detach/{card.id}", timeout=5)
    requests.post(f"{session.url}/add", data={"number": "5555555555554444", "expiry": "12/40"}, timeout=5)
    assert [m.card.last4 for m in client.v1.customers.payment_methods.list(customer.id).data if m.card] == [
        "4444"
    ]


def test_a_plan_canceled_in_the_portal_ends_with_its_cycle_unless_it_is_kept(
    client: Client, customer: stripe.Customer, server: LocalStripe, endpoint: Endpoint
) -> None:
    plan = str(server.control.pay_checkout(subscribe(client, customer))["subscription"])
    portal = client.v1.billing_portal.sessions.create({"customer": customer.id}).url
    requests.post(f"{portal}/plans/{plan}/cancel", timeout=5)
    leaving = client.v1.subscriptions.retrieve(plan)
    end = leaving["items"]["data"][0]["current_period_end"]
    assert (leaving.status, leaving.cancel_at_period_end, leaving.cancel_at) == ("active", True, end)
    assert "ends with this cycle" in requests.get(portal, timeout=5).text
    requests.post(f"{portal}/plans/{plan}/keep", timeout=5)
    assert client.v1.subscriptions.retrieve(plan).cancel_at is None
    client.v1.subscriptions.update(plan, {"cancel_at_period_end": True})
    charged = server.control.charges(customer.id)
    assert server.control.renew(plan)["status"] == "canceled"
    assert server.control.charges(customer.id) == charged
    wait_until(lambda: "customer.subscription.deleted" in endpoint.types())
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        client.v1.subscriptions.update(plan, {"cancel_at_period_end": False})


def test_somebody_elses_plan_is_not_in_the_portal(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    plan = server.control.pay_checkout(subscribe(client, customer))["subscription"]
    other = client.v1.customers.create({"email": "other@example.com"})
    portal = client.v1.billing_portal.sessions.create({"customer": other.id}).url
    assert "Cancel plan" not in requests.get(portal, timeout=5).text
    assert requests.post(f"{portal}/plans/{plan}/cancel", timeout=5).status_code == 404
    assert not client.v1.subscriptions.retrieve(str(plan)).cancel_at_period_end
