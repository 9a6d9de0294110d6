"""How subscriptions and their invoices pause, fail, are paid otherwise, and end; what the portal lets a customer change."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe
from tests.local_stripe.conftest import Endpoint, wait_until
from tests.local_stripe.plans import Client, item, latest, shape, update

DAY = 86400


def test_paused_collection_makes_invoices_that_nobody_is_asked_to_pay(
    client: Client, subscribe: Any, price: Any, to: Any, buyer: str, server: LocalStripe
) -> None:
    made = subscribe(price(2000))
    statuses = []
    for behavior in ("void", "mark_uncollectible", "keep_as_draft"):
        update(client, made, pause_collection={"behavior": behavior})
        to(item(client.v1.subscriptions.retrieve(made.id))["current_period_end"])
        statuses.append(latest(client, made).status)
    assert statuses == ["void", "uncollectible", "draft"]
    assert server.control.charges(buyer)["succeeded"] == 1
    update(client, made, pause_collection="")
    to(item(client.v1.subscriptions.retrieve(made.id))["current_period_end"])
    assert latest(client, made).status == "paid"


def test_a_trial_without_a_payment_method_pauses_and_is_resumed(
    client: Client, clock: Any, price: Any, to: Any
) -> None:
    buyer = client.v1.customers.create({"email": "a@example.com", "test_clock": clock.id}).id
    made = client.v1.subscriptions.create(
        {
            "customer": buyer,
            "items": [{"price": price(2000)}],
            "trial_period_days": 7,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        }
    )
    to(made.trial_end or 0)
    assert client.v1.subscriptions.retrieve(made.id).status == "paused"
    to(clock.frozen_time + 60 * DAY)
    assert len(client.v1.invoices.list({"subscription": made.id}).data) == 1
    pm = client.v1.payment_methods.attach("pm_card_visa", {"customer": buyer}).id
    client.v1.customers.update(buyer, {"invoice_settings": {"default_payment_method": pm}})
    after = client.v1.subscriptions.resume(made.id, {"billing_cycle_anchor": {"type": "now"}})
    assert (after.status, latest(client, made).total) == ("active", 2000)


def test_a_renewal_that_fails_is_retried_and_then_ends_the_subscription(
    client: Client, subscribe: Any, price: Any, to: Any, buyer: str, server: LocalStripe
) -> None:
    made = subscribe(price(2000))
    server.control.behave(buyer, decline_code="insufficient_funds")
    end = item(made)["current_period_end"]
    to(end)
    failed = latest(client, made)
    assert (client.v1.subscriptions.retrieve(made.id).status, failed.status) == ("past_due", "open")
    assert failed.next_payment_attempt == end + 3 * DAY
    to(end + 3 * DAY)
    assert latest(client, made).attempt_count == 2
    to(end + 20 * DAY)
    assert client.v1.subscriptions.retrieve(made.id).cancellation_details.reason == "payment_failed"
    assert server.control.charges(buyer)["failed"] == 4


def test_a_retry_that_is_paid_makes_it_active_again(
    client: Client, subscribe: Any, price: Any, to: Any, buyer: str, server: LocalStripe
) -> None:
    made = subscribe(price(2000))
    server.control.behave(buyer, times=1)
    to(item(made)["current_period_end"])
    client.v1.invoices.pay(latest(client, made).id)
    assert (client.v1.subscriptions.retrieve(made.id).status, latest(client, made).status) == (
        "active",
        "paid",
    )
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        client.v1.invoices.pay(latest(client, made).id)


@pytest.mark.parametrize(
    ("behavior", "status"),
    [(None, "incomplete"), ("default_incomplete", "incomplete"), ("error_if_incomplete", None)],
)
def test_a_first_payment_that_fails(
    client: Client,
    subscribe: Any,
    price: Any,
    buyer: str,
    server: LocalStripe,
    to: Any,
    behavior: Any,
    status: Any,
) -> None:
    server.control.behave(buyer, decline_code="lost_card")
    more = {"payment_behavior": behavior} if behavior else {}
    if status is None:
        with pytest.raises(stripe.CardError):
            subscribe(price(2000), **more)
        assert client.v1.subscriptions.list({"status": "all"}).data == []
        assert client.v1.invoices.list().data == []
        return
    made = subscribe(price(2000), **more)
    assert (made.status, latest(client, made).status) == (status, "open")
    to(made.created + DAY)
    assert client.v1.subscriptions.retrieve(made.id).status == "incomplete_expired"
    assert latest(client, made).status == "void"


def test_a_change_that_cannot_be_paid_changes_nothing_when_asked_so(
    client: Client, subscribe: Any, price: Any, buyer: str, server: LocalStripe
) -> None:
    made = subscribe(price(2000))
    before = server.control.charges(buyer)
    server.control.behave(buyer, times=1)
    with pytest.raises(stripe.CardError):
        update(client, made, price(25000, "year"), payment_behavior="error_if_incomplete")
    after = client.v1.subscriptions.retrieve(made.id)
    assert (item(after)["price"]["id"], after.latest_invoice) == (
        item(made)["price"]["id"],
        made.latest_invoice,
    )
    assert server.control.charges(buyer) == before


def test_invoices_end_out_of_band_uncollectible_or_void(
    client: Client, subscribe: Any, price: Any, buyer: str, server: LocalStripe
) -> None:
    made = [subscribe(price(2000), payment_behavior="default_incomplete") for _ in range(3)]
    first, second, third = (str(one.latest_invoice) for one in made)
    paid = client.v1.invoices.pay(first, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_remaining) == ("paid", 0)
    assert client.v1.invoice_payments.list({"invoice": first, "status": "paid"}).data == []
    assert client.v1.invoices.mark_uncollectible(second).status == "uncollectible"
    assert client.v1.invoices.void_invoice(third).status == "void"
    assert server.control.charges(buyer)["succeeded"] == 0
    assert [client.v1.subscriptions.retrieve(one.id).status for one in made] == [
        "active",
        "incomplete",
        "incomplete_expired",
    ]
    for call in (client.v1.invoices.void_invoice, client.v1.invoices.mark_uncollectible):
        with pytest.raises(stripe.InvalidRequestError):
            call(first)


def test_a_preview_shows_what_a_change_would_cost_and_changes_nothing(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(2800))
    to(clock.frozen_time + 14 * DAY)
    details: Any = {
        "items": [{"id": item(made)["id"], "price": price(5600)}],
        "proration_behavior": "always_invoice",
    }
    shown = client.v1.invoices.create_preview({"subscription": made.id, "subscription_details": details})
    assert ([line.amount for line in shown.lines.data], shown.status) == ([-1400, 2800], "draft")
    upcoming = client.v1.invoices.create_preview({"subscription": made.id})
    assert (upcoming.total, upcoming.billing_reason) == (2800, "subscription_cycle")
    assert client.v1.subscriptions.retrieve(made.id) == made
    assert len(client.v1.invoices.list().data) == 1


def test_canceling_now_credits_unused_time_only_when_asked(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any, buyer: str
) -> None:
    made = subscribe(price(2800))
    to(clock.frozen_time + 14 * DAY)
    gone = client.v1.subscriptions.cancel(made.id, {"prorate": True, "invoice_now": True})
    assert (gone.status, gone.ended_at) == ("canceled", clock.frozen_time + 14 * DAY)
    assert client.v1.customers.retrieve(buyer).balance == -1400
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.subscriptions.cancel(made.id)
    assert caught.value.code == "resource_missing"
    assert [one.id for one in client.v1.subscriptions.list({"customer": buyer}).data] == []
    assert len(client.v1.subscriptions.list({"customer": buyer, "status": "all"}).data) == 1


def test_a_subscription_that_is_to_end_ends_with_its_period(
    client: Client, subscribe: Any, price: Any, to: Any, buyer: str, server: LocalStripe
) -> None:
    made = subscribe(price(2000))
    update(client, made, cancel_at_period_end=True)
    to(item(made)["current_period_end"] + DAY)
    after = client.v1.subscriptions.retrieve(made.id)
    assert (after.status, after.ended_at) == ("canceled", item(made)["current_period_end"])
    assert server.control.charges(buyer)["succeeded"] == 1


def test_deleting_a_customer_cancels_its_subscriptions(
    client: Client, subscribe: Any, price: Any, buyer: str, endpoint: Endpoint
) -> None:
    made = subscribe(price(2000))
    client.v1.customers.delete(buyer)
    assert client.v1.subscriptions.retrieve(made.id).status == "canceled"
    wanted = {"customer.deleted", "customer.subscription.deleted"}
    wait_until(lambda: wanted <= set(endpoint.types()))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"items": [{"price": "price_none"}]}, "items[0][price]"),
        ({"items": [{"id": "si_none", "quantity": 2}]}, "items[0][id]"),
        ({"default_payment_method": "pm_none"}, "default_payment_method"),
        ({"trial_end": 1}, "trial_end"),
        ({"proration_date": 1}, "proration_date"),
        ({"discounts": [{"coupon": "none"}]}, "discounts[0][coupon]"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    client: Client, subscribe: Any, price: Any, change: Any, param: str
) -> None:
    made = subscribe(price(2000))
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.subscriptions.update(made.id, change)
    assert caught.value.param == param
    assert client.v1.subscriptions.retrieve(made.id) == made


def test_prices_that_cannot_be_subscribed_to_are_refused(client: Client, buyer: str, price: Any) -> None:
    once = client.v1.prices.create({"currency": "usd", "unit_amount": 500, "product_data": {"name": "Once"}})
    for wrong in ([{"price": once.id}], [{"price": price(2000)}, {"price": price(2000, currency="eur")}]):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.subscriptions.create({"customer": buyer, "items": wrong})  # type: ignore[typeddict-item]
    poor = client.v1.customers.create({"email": "poor@example.com"})
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        client.v1.subscriptions.create({"customer": poor.id, "items": [{"price": price(2000)}]})
    assert client.v1.subscriptions.list({"status": "all"}).data == []


def test_plan_and_quantity_are_changed_in_the_portal_when_it_allows_that(
    client: Client, subscribe: Any, price: Any, buyer: str, clock: Any, to: Any
) -> None:
    small, large, other = price(2800), price(5600), price(9900)
    made = subscribe(small)
    product = client.v1.prices.retrieve(small).product
    closed = client.v1.billing_portal.sessions.create({"customer": buyer})
    assert "Update plan" not in requests.get(closed.url, timeout=5).text
    form = {"price": large, "quantity": "2"}
    assert requests.post(f"{closed.url}/plans/{made.id}/update", data=form, timeout=5).status_code == 404
    configuration = client.v1.billing_portal.configurations.create(
        {
            "features": {
                "subscription_update": {
                    "enabled": True,
                    "default_allowed_updates": ["price", "quantity"],
                    "proration_behavior": "always_invoice",
                    "products": [{"product": str(product), "prices": [small, large]}],
                }
            }
        }
    )
    open_ = client.v1.billing_portal.sessions.create({"customer": buyer, "configuration": configuration.id})
    to(clock.frozen_time + 14 * DAY)
    assert "Update plan" in requests.get(open_.url, timeout=5).text
    wrong = {"price": other, "quantity": "1"}
    assert requests.post(f"{open_.url}/plans/{made.id}/update", data=wrong, timeout=5).status_code == 400
    assert requests.post(f"{open_.url}/plans/{made.id}/update", data=form, timeout=5).status_code == 200
    after = client.v1.subscriptions.retrieve(made.id)
    assert (item(after)["price"]["id"], item(after)["quantity"]) == (large, 2)
    assert [row[0] for row in shape(latest(client, made))] == [-1400, 5600]


def test_without_saved_settings_there_is_no_portal(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    server.control.portal(saved=False)
    with pytest.raises(stripe.InvalidRequestError, match="default configuration has not been created"):
        client.v1.billing_portal.sessions.create({"customer": customer.id})
    server.control.portal(saved=True)
    assert client.v1.billing_portal.sessions.create({"customer": customer.id}).configuration
