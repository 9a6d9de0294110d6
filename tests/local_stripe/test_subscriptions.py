"""Subscriptions by the API: cycles, changes and their proration lines, trials, discounts, clocks, ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from local.stripe import intervals
from local.stripe.app import LocalStripe
from local.stripe.lines import TIMES
from tests.local_stripe.conftest import Endpoint, wait_until

Client = stripe.StripeClient
DAY = 86400
MONTH = {"interval": "month", "interval_count": 1}


@pytest.fixture
def price(client: Client) -> Callable[..., str]:
    """Make a price: `price(2000)`, `price(19000, "year")`, `price(500, "month", 3)`; its id."""
    product = client.v1.products.create({"name": "Pro"}).id

    def make(amount: int, interval: str = "month", count: int = 1, currency: str = "usd") -> str:
        recurring: Any = {"interval": interval, "interval_count": count}
        return client.v1.prices.create(
            {"product": product, "currency": currency, "unit_amount": amount, "recurring": recurring}
        ).id

    return make


@pytest.fixture
def clock(client: Client) -> stripe.test_helpers.TestClock:
    start = int(dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC).timestamp())
    return client.v1.test_helpers.test_clocks.create({"frozen_time": start})


@pytest.fixture
def buyer(client: Client, clock: stripe.test_helpers.TestClock) -> str:
    """A customer with a card, in the time of the test clock."""
    made = client.v1.customers.create({"email": "buyer@example.com", "test_clock": clock.id})
    pm = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": pm.id}})
    return made.id


@pytest.fixture
def subscribe(client: Client, buyer: str) -> Callable[..., stripe.Subscription]:
    def make(price: str, quantity: int = 1, **more: Any) -> stripe.Subscription:
        params: Any = {"customer": buyer, "items": [{"price": price, "quantity": quantity}], **more}
        return client.v1.subscriptions.create(params)

    return make


@pytest.fixture
def to(client: Client, clock: stripe.test_helpers.TestClock) -> Callable[[int], None]:
    """Advance the test clock to a moment."""

    def advance(moment: int) -> None:
        answer = client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": moment})
        assert answer.status == "advancing"
        assert client.v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"

    return advance


def item(subscription: Any) -> Any:
    return subscription["items"]["data"][0]


def latest(client: Client, subscription: Any) -> stripe.Invoice:
    found = client.v1.subscriptions.retrieve(subscription.id)
    return client.v1.invoices.retrieve(str(found.latest_invoice), {"expand": ["payments"]})


def update(client: Client, subscription: Any, price: str | None = None, **more: Any) -> stripe.Subscription:
    change: Any = dict(more)
    if price or "quantity" in change:
        entry = {"id": item(subscription)["id"], "price": price, "quantity": change.pop("quantity", 1)}
        change["items"] = [{name: value for name, value in entry.items() if value is not None}]
    return client.v1.subscriptions.update(subscription.id, change)


def shape(invoice: Any) -> list[tuple[int, bool, str]]:
    """Amount, proration and the first words of every line."""
    return [
        (
            line.amount,
            line.parent.subscription_item_details.proration,
            " ".join((line.description or "").split()[:2]),
        )
        for line in invoice.lines.data
    ]


def test_a_first_cycle_is_invoiced_and_paid_at_once(client: Client, subscribe: Any, price: Any) -> None:
    made = subscribe(price(2000), 3, metadata={"plan": "pro"})
    assert (made.status, made.metadata["plan"], item(made)["quantity"]) == ("active", "pro", 3)
    invoice = latest(client, made)
    assert (invoice.billing_reason, invoice.status, invoice.total) == ("subscription_create", "paid", 6000)
    assert shape(invoice) == [(6000, False, f"3 {TIMES}")]
    assert invoice.payments.data[0].status == "paid"


@pytest.mark.parametrize(
    ("recurring", "ends"),
    [
        (("month", 1), "2026-02-28"),
        (("month", 3), "2026-04-30"),
        (("year", 1), "2027-01-31"),
        (("week", 2), "2026-02-14"),
        (("day", 10), "2026-02-10"),
    ],
)
def test_a_period_ends_by_the_calendar(subscribe: Any, price: Any, recurring: Any, ends: str) -> None:
    made = subscribe(price(2000, *recurring))
    end = dt.datetime.fromtimestamp(item(made)["current_period_end"], dt.UTC)
    assert end.date().isoformat() == ends


def test_an_anchor_on_the_31st_comes_back_after_february(
    client: Client, subscribe: Any, price: Any, to: Any
) -> None:
    made = subscribe(price(2000))
    days = []
    for _ in range(3):
        to(item(client.v1.subscriptions.retrieve(made.id))["current_period_end"])
        start = item(client.v1.subscriptions.retrieve(made.id))["current_period_start"]
        days.append(dt.datetime.fromtimestamp(start, dt.UTC).date().isoformat())
    assert days == ["2026-02-28", "2026-03-31", "2026-04-30"]


def test_a_clock_that_moves_far_renews_every_cycle_at_its_time(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any, buyer: str, server: LocalStripe
) -> None:
    made = subscribe(price(2000))
    to(clock.frozen_time + 100 * DAY)
    found = client.v1.invoices.list({"subscription": made.id}).data
    assert [invoice.billing_reason for invoice in found] == ["subscription_cycle"] * 3 + [
        "subscription_create"
    ]
    assert [dt.datetime.fromtimestamp(one.created, dt.UTC).month for one in found] == [4, 3, 2, 1]
    assert server.control.charges(buyer) == {"succeeded": 4, "failed": 0, "amount": 8000, "refunded": 0}


def test_the_accounts_own_clock_renews_customers_without_a_test_clock(
    client: Client, customer: stripe.Customer, card: Any, price: Any, server: LocalStripe
) -> None:
    made = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price(2000)}], "default_payment_method": card.id}
    )
    server.control.advance(32 * DAY)
    assert [one.billing_reason for one in client.v1.invoices.list({"subscription": made.id}).data] == [
        "subscription_cycle",
        "subscription_create",
    ]


def test_a_change_of_interval_is_invoiced_at_once_with_two_prorations(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    """As Stripe answered: both lines are prorations, the credit names what it credits, the anchor stays."""
    made = subscribe(price(2500))
    first = latest(client, made)
    to(clock.frozen_time + 4)
    changed = update(client, made, price(25000, "year"), proration_behavior="always_invoice")
    invoice = latest(client, made)
    assert (invoice.billing_reason, invoice.total, invoice.status) == ("subscription_update", 22500, "paid")
    assert shape(invoice) == [(-2500, True, "Unused time"), (25000, True, "Remaining time")]
    credit, debit = invoice.lines.data
    credited = credit.parent.subscription_item_details.proration_details.credited_items
    assert credited.to_dict() == {"invoice": first.id, "invoice_line_items": [first.lines.data[0].id]}
    assert debit.parent.subscription_item_details.proration_details.credited_items is None
    assert (changed.billing_cycle_anchor, credit.discountable) == (made.billing_cycle_anchor, False)
    assert debit.period.end == intervals.added(made.billing_cycle_anchor, {**MONTH, "interval": "year"}, 1)
    assert credit.period.end == item(made)["current_period_end"]
    assert credit.pricing.price_details.price == item(made)["price"]["id"]
    assert credit.pricing.unit_amount_decimal is None


def test_a_change_of_interval_in_classic_mode_begins_a_cycle_with_a_whole_line(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(1900), billing_mode={"type": "classic"})
    to(clock.frozen_time + 14 * DAY)
    changed = update(client, made, price(19000, "year"))
    assert shape(latest(client, made)) == [(-950, True, "Unused time"), (19000, False, f"1 {TIMES}")]
    assert changed.billing_cycle_anchor == clock.frozen_time + 14 * DAY


def test_a_change_of_interval_without_prorations_bills_the_new_cycle_whole(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(1900))
    to(clock.frozen_time + 14 * DAY)
    update(client, made, price(19000, "year"), proration_behavior="none")
    assert shape(latest(client, made)) == [(19000, False, f"1 {TIMES}")]


def test_an_upgrade_within_the_cycle_waits_for_the_next_invoice(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(2800))
    to(clock.frozen_time + 14 * DAY)
    changed = update(client, made, price(5600))
    assert changed.latest_invoice == made.latest_invoice
    assert item(changed)["current_period_end"] == item(made)["current_period_end"]
    to(item(made)["current_period_end"])
    invoice = latest(client, made)
    assert invoice.billing_reason == "subscription_cycle"
    assert shape(invoice) == [
        (-1400, True, "Unused time"),
        (2800, True, "Remaining time"),
        (5600, False, f"1 {TIMES}"),
    ]


@pytest.mark.parametrize(("quantity", "total"), [(3, 2800), (1, 0), (2, 1400)])
def test_more_seats_are_invoiced_at_once_when_asked_for(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any, quantity: int, total: int
) -> None:
    made = subscribe(price(2800), 1)
    to(clock.frozen_time + 14 * DAY)
    client.v1.subscription_items.update(
        item(made)["id"], {"quantity": quantity, "proration_behavior": "always_invoice"}
    )
    assert client.v1.subscription_items.retrieve(item(made)["id"]).quantity == quantity
    invoice = latest(client, made)
    assert (invoice.total if total else 0) == total
    assert invoice.billing_reason == ("subscription_update" if total else "subscription_create")


def test_a_downgrade_credits_the_balance_and_the_next_cycle_uses_it(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any, buyer: str
) -> None:
    made = subscribe(price(5600))
    to(clock.frozen_time + 14 * DAY)
    update(client, made, price(2800), proration_behavior="always_invoice")
    invoice = latest(client, made)
    assert (invoice.total, invoice.amount_due, invoice.status) == (-1400, 0, "paid")
    assert (invoice.ending_balance, client.v1.customers.retrieve(buyer).balance) == (-1400, -1400)
    to(item(made)["current_period_end"])
    renewal = latest(client, made)
    assert (renewal.total, renewal.starting_balance, renewal.amount_due, renewal.amount_paid) == (
        2800,
        -1400,
        1400,
        1400,
    )
    kinds = [one.type for one in client.v1.customers.balance_transactions.list(buyer).data]
    assert kinds == ["applied_to_invoice", "applied_to_invoice"]


def test_an_invoice_that_the_balance_pays_has_no_payment(
    client: Client, subscribe: Any, price: Any, buyer: str, server: LocalStripe
) -> None:
    client.v1.customers.balance_transactions.create(buyer, {"amount": -5000, "currency": "usd"})
    invoice = latest(client, subscribe(price(2000)))
    assert (invoice.status, invoice.amount_due, invoice.total) == ("paid", 0, 2000)
    assert invoice.payments.data == []
    assert server.control.charges(buyer)["succeeded"] == 0
    assert client.v1.customers.retrieve(buyer).balance == -3000


def test_a_credit_is_for_what_was_billed_after_discounts(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    half = client.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
    made = subscribe(price(2800), discounts=[{"coupon": half}])
    assert latest(client, made).total == 1400
    to(clock.frozen_time + 14 * DAY)
    update(client, made, price(5600), proration_behavior="always_invoice")
    assert [row[0] for row in shape(latest(client, made))] == [-700, 1400]


@pytest.mark.parametrize(
    ("coupon", "totals"),
    [
        ({"percent_off": 100, "duration": "forever"}, [0, 0, 0]),
        ({"percent_off": 50, "duration": "once"}, [1000, 2000, 2000]),
        ({"amount_off": 500, "currency": "usd", "duration": "once"}, [1500, 2000, 2000]),
        ({"amount_off": 9900, "currency": "usd", "duration": "forever"}, [0, 0, 0]),
        ({"percent_off": 25, "duration": "repeating", "duration_in_months": 2}, [1500, 1500, 2000]),
    ],
)
def test_coupons_last_as_long_as_they_say(
    client: Client, subscribe: Any, price: Any, to: Any, coupon: Any, totals: list[int]
) -> None:
    made = subscribe(price(2000), discounts=[{"coupon": client.v1.coupons.create(coupon).id}])
    found = [latest(client, made)]
    for _ in range(2):
        to(item(client.v1.subscriptions.retrieve(made.id))["current_period_end"])
        found.append(latest(client, made))
    assert [invoice.total for invoice in found] == totals
    taken = sum(amount.amount for amount in found[0].lines.data[0].discount_amounts)
    assert (taken, found[0].subtotal) == (2000 - totals[0], 2000)
    assert sum(amount.amount for amount in found[0].total_discount_amounts) == 2000 - totals[0]


def test_a_trial_costs_nothing_until_it_ends(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(2000), trial_period_days=14)
    assert (made.status, made.trial_end) == ("trialing", clock.frozen_time + 14 * DAY)
    assert shape(latest(client, made)) == [(0, False, "Trial period")]
    to(made.trial_end)
    after = client.v1.subscriptions.retrieve(made.id)
    assert (after.status, item(after)["current_period_start"]) == ("active", made.trial_end)
    invoice = latest(client, made)
    assert (invoice.billing_reason, invoice.total) == ("subscription_cycle", 2000)


def test_a_trial_that_is_ended_begins_a_cycle_now(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(2000), trial_period_days=14)
    to(clock.frozen_time + DAY)
    after = update(client, made, trial_end="now")
    assert (after.status, after.billing_cycle_anchor) == ("active", clock.frozen_time + DAY)
    assert shape(latest(client, made)) == [(2000, False, f"1 {TIMES}")]


def test_from_free_to_paid_is_billed_at_once(
    client: Client, subscribe: Any, price: Any, clock: Any, to: Any
) -> None:
    made = subscribe(price(0))
    to(clock.frozen_time + 14 * DAY)
    update(client, made, price(2800))
    assert shape(latest(client, made)) == [(1400, True, "Remaining time")]
    classic = subscribe(price(0), billing_mode={"type": "classic"})
    update(client, classic, price(2800))
    assert shape(latest(client, classic)) == [(2800, False, f"1 {TIMES}")]


def test_several_items_are_one_invoice_and_change_by_themselves(
    client: Client, buyer: str, price: Any, clock: Any, to: Any
) -> None:
    made = client.v1.subscriptions.create(
        {"customer": buyer, "items": [{"price": price(2800)}, {"price": price(1000), "quantity": 2}]}
    )
    assert latest(client, made).total == 4800
    to(clock.frozen_time + 14 * DAY)
    first, second = (one["id"] for one in made["items"]["data"])
    client.v1.subscriptions.update(
        made.id,
        {
            "items": [{"id": first, "deleted": True}, {"price": price(1400)}],
            "proration_behavior": "always_invoice",
        },
    )
    assert sorted(row[0] for row in shape(latest(client, made))) == [-1400, 700]
    kept = [one["id"] for one in client.v1.subscriptions.retrieve(made.id)["items"]["data"]]
    assert (second in kept, first in kept, len(kept)) == (True, False, 2)
    with pytest.raises(stripe.InvalidRequestError, match="at least one"):
        client.v1.subscriptions.update(made.id, {"items": [{"id": one, "deleted": True} for one in kept]})


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
