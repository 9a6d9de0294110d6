"""A simulated year: plan changes, refunds, disputes, price rises and two currencies, and every credit and cent accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from local.stripe.app import LocalStripe
from shared.seals import Sealer
from shared.settings import Settings
from tests.support import Database
from tests.workers.world import CREDIT
from tests.workers.year import ACCOUNT, Year

PLANS = (
    ("starter", "month", 1900, 500, None),
    ("pro", "month", 7900, 2500, None),
    ("pro_year", "year", 79_000, 30_000, "month"),
)


@pytest.fixture
def year(database: Database, settings: Settings) -> Iterator[Year]:
    with LocalStripe.start() as server:
        client = stripe.StripeClient("sk_test_123", base_addresses={"api": server.url})
        with Year(database, settings, client, server.control, Sealer("a test key")) as made:
            made.query(
                "insert into billing.credit_packages (id, name, credits, amount, currency)"
                " values ('euro', 'Euro', 250000000, 1190, 'eur')"
            )
            yield made
            assert server.control.violations() == []


def sell(year: Year) -> dict[str, str]:
    """Prices at Stripe for every plan, by the plan's id."""
    prices = {}
    for plan, interval, amount, credits, portions in PLANS:
        product = year.client.v1.products.create({"name": plan})
        price: Any = {
            "product": product.id,
            "currency": "usd",
            "unit_amount": amount,
            "recurring": {"interval": interval},
        }
        prices[plan] = year.client.v1.prices.create(price).id
        year.query(
            "insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval,"
            " stripe_price_id, stripe_product_id, grant_interval) values (%s, %s, %s, %s, 'usd', %s, %s, %s, %s)"
            " on conflict (id) do update set stripe_price_id = excluded.stripe_price_id,"
            " stripe_product_id = excluded.stripe_product_id",
            plan, plan, credits * CREDIT, amount, interval, prices[plan], product.id, portions,
        )  # fmt: skip
    return prices


def change(year: Year, subscription: str, **items: Any) -> None:
    """As the customer does in Stripe's portal."""
    item = year.client.v1.subscriptions.retrieve(subscription)["items"]["data"][0]
    entry: Any = {"items": [{"id": item["id"], **items}], "proration_behavior": "always_invoice"}
    year.client.v1.subscriptions.update(subscription, entry)
    year.settle_down()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_year_of_changes_ties_out_to_the_last_credit_and_cent(year: Year) -> None:
    year.begin()
    prices = sell(year)
    plan = ""
    dispute: dict[str, Any] = {}
    bought: dict[str, str] = {}
    asked: list[int] = []
    for day in range(365):
        match day:
            case 1:
                bought["first"] = year.buy("small")
            case 20:
                made: Any = {
                    "customer": year.customer,
                    "items": [{"price": prices["starter"]}],
                    "default_payment_method": year.method,
                }
                plan = year.client.v1.subscriptions.create(made).id
                year.settle_down()
            case 40:
                year.refund(bought["first"], 200)
            case 65:
                change(year, plan, price=prices["pro"])
            case 95:
                change(year, plan, quantity=2)
            case 110:
                change(year, plan, quantity=1)
            case 130:
                year.query("update billing.credit_packages set amount = 650 where id = 'small' returning 1")
            case 165:
                bought["euro"] = year.buy("euro")
            case 170:
                charge = year.last_topup()["stripe_charge_id"]
                dispute = year.control.open_dispute(charge)
                year.settle_down()
            case 185:
                year.control.close_dispute(dispute["id"], won=True)
                year.settle_down()
            case 200:
                change(year, plan, price=prices["pro_year"])
            case 230:
                dispute = year.control.open_dispute(year.last_topup()["stripe_charge_id"])
                year.settle_down()
            case 245:
                year.control.close_dispute(dispute["id"], won=False)
                year.settle_down()
            case 250:
                assert year.paused == "dispute_lost"
                year.ledger.resume_auto_topup(ACCOUNT, "owner")
            case 260:
                year.refund(bought["euro"], 595)
            case 300:
                change(year, plan, price=prices["starter"])
            case 320:
                year.ledger.adjust_credits("goodwill", ACCOUNT, 25 * CREDIT, "goodwill", "operator")
            case 330:
                intent = year.ledger.get_payment(year.last_topup()["payment_id"])
                assert intent is not None
                year.refund(str(intent["stripe_payment_intent_id"]))
                assert year.paused == "refunded"
            case 340:
                year.ledger.resume_auto_topup(ACCOUNT, "owner")
        if year.paused == "price_changed":
            asked.append(day)
            year.consent()
        # Enough that the account is topped up between its cycles, whatever plan it has.
        year.day(max(12.0, year.balance / 5))
        if day % 30 == 29:
            assert year.ledger.check_invariants() == [], f"after day {day}"

    assert len(asked) == 1, "one price rise, one question"
    assert asked[0] > 130
    assert year.ledger.check_invariants() == []
    # Money in is Stripe's balance, currency by currency.
    assert year.money_in_books() == year.money_at_stripe()
    assert set(year.money_in_books()) == {"usd", "eur"}
    # The statements are one chain from nothing to the balance, and so are their lots.
    statements = year.statements()
    assert len(statements) >= 13
    before = 0
    for statement in statements:
        assert statement["opening"] == before
        assert statement["opening"] + sum(kind["net"] for kind in statement["kinds"]) == statement["closing"]
        lots = sum(lot["closing"] for lot in statement["lots"])
        assert lots - statement["debt_closing"] == statement["closing"]
        before = statement["closing"]
    assert before == int(round(year.balance * CREDIT))
    # Every entry is what a row says that it came from.
    assert year.unexplained() == []
    kinds = {kind["kind"] for statement in statements for kind in statement["kinds"]}
    assert kinds >= {
        "signup",
        "purchase",
        "topup",
        "subscription",
        "usage",
        "refund",
        "dispute",
        "adjustment",
    }
    assert "plan_change" in kinds
    # Nobody was charged for anything but a spend.
    causes = year.query("select distinct split_part(cause, ':', 1) as kind from billing.topups order by 1")
    assert {row["kind"] for row in causes} <= {"entry", "refused"}
