"""Subscriptions by the API: cycles, changes and their proration lines, trials, discounts, clocks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import stripe

from local.stripe import intervals
from local.stripe.app import LocalStripe
from local.stripe.lines import TIMES
from tests.local_stripe.plans import Client, item, latest, shape, update

DAY = 86400
MONTH = {"interval": "month", "interval_count": 1}


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
