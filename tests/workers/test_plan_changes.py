"""Changes of plans at the local Stripe, with its own proration lines, told by its events; what is charged next."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers.test_subscriptions import current, deliver, granted, subscribe
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import CREDIT
from workers import maintenance

__all__ = ["server", "shop"]


def plan(shop: Shop, name: str, amount: int, interval: str, credits: int, count: int = 1) -> str:
    """A plan of a price of its own. Answers the price's id."""
    product = shop.client.v1.products.create({"name": name})
    price = shop.client.v1.prices.create(
        {
            "product": product.id,
            "unit_amount": amount,
            "currency": "usd",
            "recurring": {"interval": interval, "interval_count": count},  # type: ignore[typeddict-item]
        }
    )
    shop.world.query(
        "insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval,"
        " interval_count, stripe_product_id, stripe_price_id) values (%s, %s, %s, %s, 'usd', %s, %s, %s, %s)",
        name, name, credits * CREDIT, amount, interval, count, product.id, price.id,
    )  # fmt: skip
    return str(price.id)


def swap(shop: Shop, subscription_id: str, price: str | None, quantity: int = 1, **more: Any) -> None:
    """Another price or quantity, invoiced at once. None: the price stays."""
    item = shop.client.v1.subscriptions.retrieve(subscription_id)["items"]["data"][0]["id"]
    wanted: Any = {
        "items": [{"id": item, "quantity": quantity} | ({"price": price} if price else {})],
        "proration_behavior": "always_invoice",
    }
    shop.client.v1.subscriptions.update(subscription_id, wanted | more)


@pytest.mark.parametrize(
    ("name", "amount", "interval", "count", "credits"),
    [
        ("year", 19000, "year", 1, 6000),
        ("quarter", 5400, "month", 3, 1500),
        ("fortnight", 900, "week", 2, 230),
    ],
)
def test_a_change_of_cycle_is_granted_when_it_is_paid(
    shop: Shop, name: str, amount: int, interval: str, count: int, credits: int
) -> None:
    subscription_id = subscribe(shop)
    deliver(shop)
    price = plan(shop, name, amount, interval, credits, count)
    swap(shop, subscription_id, price)
    deliver(shop)
    deliver(shop)
    found = current(shop)
    assert (found["plan"], found["amount"], found["interval"], found["interval_count"]) == (
        name,
        amount,
        interval,
        count,
    )
    # 100 of another source; the month's 500 came back, but for the seconds that have passed.
    assert shop.world.balance == pytest.approx(100 + credits, abs=0.5)
    assert granted(shop)[0] == 500
    shop.world.assert_sound()


def test_seats_up_and_down_follow_what_is_paid(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    deliver(shop)
    swap(shop, subscription_id, None, 4)
    deliver(shop)
    assert shop.world.balance == pytest.approx(2100, abs=0.5)
    swap(shop, subscription_id, None, 2)
    deliver(shop)
    assert shop.world.balance == pytest.approx(1100, abs=0.5)
    assert current(shop)["quantity"] == 2
    shop.world.assert_sound()


def test_without_prorations_nothing_is_granted_or_taken_before_the_next_cycle(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    deliver(shop)
    swap(shop, subscription_id, plan(shop, "large", 7900, "month", 2500), proration_behavior="none")
    deliver(shop)
    assert (granted(shop), shop.world.balance) == ([500], 600)
    assert current(shop)["next_amount"] == 7900


def test_a_downgrade_leaves_a_balance_that_pays_the_next_invoice(shop: Shop) -> None:
    large = plan(shop, "large", 7900, "month", 2500)
    subscription_id = subscribe(shop)
    deliver(shop)
    swap(shop, subscription_id, large)
    deliver(shop)
    assert shop.world.balance == pytest.approx(2600, abs=0.5)
    swap(shop, subscription_id, plan(shop, "small", 1900, "month", 500))
    deliver(shop)
    assert shop.world.balance == pytest.approx(600, abs=0.5)
    assert current(shop)["next_amount"] == 0
    shop.world.assert_sound()


def test_a_coupon_is_in_what_is_charged_next(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    coupon = shop.client.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    shop.client.v1.subscriptions.update(subscription_id, {"discounts": [{"coupon": coupon.id}]})
    deliver(shop)
    found = current(shop)
    assert (found["amount"], found["next_amount"], found["discount_amount"]) == (1900, 950, 950)
    shop.control.renew(subscription_id)
    deliver(shop)
    assert granted(shop) == [500, 500]
    prices = shop.world.query(
        "select paid_amount from billing.credit_lots where kind = 'subscription' order by id"
    )
    assert [row["paid_amount"] for row in prices] == [1900, 950]


def test_a_preview_that_is_refused_leaves_the_amount_out(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    coupon = shop.client.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "forever"})
    shop.client.v1.subscriptions.update(subscription_id, {"discounts": [{"coupon": coupon.id}]})
    shop.control.fail(kind=403, path="/v1/invoices/create_preview", times=9)
    deliver(shop)
    found = current(shop)
    assert (found["amount"], found["next_amount"]) == (1900, None)


def test_the_hourly_checks_compare_plans_with_their_prices(shop: Shop) -> None:
    price = plan(shop, "large", 7900, "month", 2500)
    maintenance.run_checks(shop.world.app)
    notices = "select 1 from billing.outbox where topic = 'operations.plan_price_mismatch'"
    assert shop.world.query(notices) == []
    shop.client.v1.prices.update(price, {"active": False})
    for _ in range(2):
        maintenance.run_checks(shop.world.app)
    assert len(shop.world.query(notices)) == 1
    plans = {row["id"]: row["available"] for row in shop.world.ledger.list_plans()}
    assert plans["large"] is False
