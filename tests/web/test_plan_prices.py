"""A plan whose price at Stripe is another than its row's is not sold, and what Stripe charges is what is shown."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from flask.testing import FlaskClient

from local.stripe.app import LocalStripe
from shared.ledger import Ledger
from tests.support import Database
from tests.web.test_subscriptions import app, at_stripe, headers, server, session_of, subscribe, tell

__all__ = ["app", "at_stripe", "headers", "server"]


def priced(at_stripe: stripe.StripeClient, database: Database, **changes: Any) -> str:
    """Starter, 19 dollars a month, sells a price that was made at Stripe."""
    product = at_stripe.v1.products.create({"name": "Starter"})
    facts: Any = {
        "product": product.id,
        "unit_amount": 1900,
        "currency": "usd",
        "recurring": {"interval": "month"},
    }
    price = at_stripe.v1.prices.create(facts | changes)
    with database.connect() as connection:
        connection.execute(
            "update billing.subscription_plans set stripe_product_id = %s, stripe_price_id = %s where id = 'starter'",
            [product.id, price.id],
        )
    return price.id


def plan_of(client: FlaskClient, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = client.get("/api/billing/plans").json["data"]
    return next(plan for plan in found if plan["id"] == name)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unit_amount": 2500}, "amount"),
        ({"unit_amount": 24000, "currency": "eur", "recurring": {"interval": "year"}}, "currency"),
        ({"recurring": {"interval": "month", "interval_count": 3}}, "interval_count"),
        ({"recurring": {"interval": "year"}}, "interval"),
    ],
)
def test_a_plan_whose_price_at_stripe_differs_is_refused_and_nothing_is_opened(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe, at_stripe: stripe.StripeClient,
    database: Database, changes: dict[str, Any], reason: str,
) -> None:  # fmt: skip
    priced(at_stripe, database, **changes)
    answer = subscribe(client, headers)
    assert (answer.status_code, answer.json["code"], answer.json["reason"]) == (
        409,
        "plan_price_mismatch",
        reason,
    )
    assert server.control.requests(method="POST", path="/v1/checkout/sessions") == []
    assert plan_of(client, "starter")["available"] is False
    assert plan_of(client, "pro")["available"] is True
    with database.connect() as connection:
        row = connection.execute(
            "select count(*) from billing.outbox where topic = 'operations.plan_price_mismatch'"
        )
        assert row.fetchone() == (1,)


def test_a_price_that_stripe_does_not_know_is_a_mismatch_and_no_fault(
    client: FlaskClient, headers: dict[str, str], at_stripe: stripe.StripeClient, database: Database
) -> None:
    priced(at_stripe, database)
    with database.connect() as connection:
        connection.execute(
            "update billing.subscription_plans set stripe_price_id = 'price_live' where id = 'starter'"
        )
    answer = subscribe(client, headers)
    assert (answer.status_code, answer.json["code"], answer.json["reason"]) == (
        409,
        "plan_price_mismatch",
        "missing",
    )


def test_an_inactive_price_is_refused_and_an_agreeing_one_is_sold(
    client: FlaskClient, headers: dict[str, str], at_stripe: stripe.StripeClient, database: Database
) -> None:
    price = priced(at_stripe, database)
    assert subscribe(client, headers).status_code == 201
    with database.connect() as connection:
        connection.execute("update billing.subscription_plans set stripe_price = null where id = 'starter'")
    at_stripe.v1.prices.update(price, {"active": False})
    assert subscribe(client, headers).json["reason"] == "inactive"


def test_a_subscriber_of_an_older_price_sees_what_stripe_charges(
    client: FlaskClient, headers: dict[str, str], server: LocalStripe, at_stripe: stripe.StripeClient,
    database: Database, ledger: Ledger,
) -> None:  # fmt: skip
    price = priced(at_stripe, database)
    tell(ledger, at_stripe, server.control.pay_checkout(session_of(subscribe(client, headers))))
    with database.connect() as connection:
        connection.execute(
            "update billing.subscription_plans set amount = 9900, currency = 'eur' where id = 'starter'"
        )
    shown = client.get("/api/billing/subscription", headers=headers).json["subscription"]
    money = {"amount": 1900, "currency": "usd"}
    assert (shown["price"], shown["price_id"], shown["interval"], shown["interval_count"]) == (
        money,
        price,
        "month",
        1,
    )
    assert shown["next_invoice"] == {"amount": money, "discount": None, "at": shown["current_period_end"]}
    (item,) = shown["items"]
    assert (item["price_id"], item["plan"], item["quantity"], item["unit_price"]) == (
        price,
        "starter",
        1,
        money,
    )
    assert subscribe(client, headers, "starter").json["code"] == "plan_price_mismatch"
