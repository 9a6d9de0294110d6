"""A simulated year: plan changes, refunds, disputes, a price rise, two currencies; all credits and money accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
DAYS = 365
PRICE_RISE_DAY = 130


@pytest.fixture
def year(database: Database, settings: Settings) -> Iterator[Year]:
    with LocalStripe.start() as server:
        client = stripe.StripeClient("sk_test_123", base_addresses={"api": server.url})
        with Year(database, settings, client, server.control, Sealer("a test key")) as made:
            made.query(
                "insert into billing.credit_packages (id, name, credits, amount, currency)"
                " values ('euro', 'Euro', 250000000, 1190, 'eur')"
            )
            made.begin()
            yield made
            assert server.control.violations() == []


class Story:
    """What happens to the account, and on which day."""

    def __init__(self, year: Year) -> None:
        self.year = year
        self.prices = sell(year)
        self.bought: dict[str, str] = {}
        self.asked: list[int] = []
        self.plan = ""
        self.dispute = ""
        self.plot: dict[int, Callable[[], object]] = {
            1: lambda: self.buy("small"),
            20: self.subscribe,
            40: lambda: year.refund(self.bought["small"], 200),
            65: lambda: self.change(price=self.prices["pro"]),
            95: lambda: self.change(quantity=2),
            110: lambda: self.change(quantity=1),
            PRICE_RISE_DAY: lambda: year.query(
                "update billing.credit_packages set amount = 650 where id = 'small'"
            ),
            165: lambda: self.buy("euro"),
            170: self.disown,
            185: lambda: self.decide(won=True),
            200: lambda: self.change(price=self.prices["pro_year"]),
            230: self.disown,
            245: lambda: self.decide(won=False),
            250: lambda: self.resume("dispute_lost"),
            260: lambda: year.refund(self.bought["euro"], 595),
            300: lambda: self.change(price=self.prices["starter"]),
            320: lambda: year.ledger.adjust_credits("thanks", ACCOUNT, 25 * CREDIT, "goodwill", "operator"),
            330: self.refund_topup,
            340: lambda: self.resume("refunded"),
        }

    def live(self) -> None:
        """Every day its usage: enough that the account is topped up between its cycles, whatever plan it has."""
        for day in range(DAYS):
            self.plot.get(day, lambda: None)()
            if self.year.paused == "price_changed":
                self.asked.append(day)
                self.year.consent()
            self.year.day(max(12.0, self.year.balance / 5))
            if day % 30 == 29:
                assert self.year.ledger.check_invariants() == [], f"after day {day}"

    def buy(self, package: str) -> None:
        self.bought[package] = self.year.buy(package)

    def subscribe(self) -> None:
        made: Any = {
            "customer": self.year.customer,
            "items": [{"price": self.prices["starter"]}],
            "default_payment_method": self.year.method,
        }
        self.plan = self.year.client.v1.subscriptions.create(made).id
        self.year.settle_down()

    def change(self, **entry: Any) -> None:
        """As the customer does in Stripe's portal."""
        item = self.year.client.v1.subscriptions.retrieve(self.plan)["items"]["data"][0]
        changed: Any = {"items": [{"id": item["id"], **entry}], "proration_behavior": "always_invoice"}
        self.year.client.v1.subscriptions.update(self.plan, changed)
        self.year.settle_down()

    def disown(self) -> None:
        """The card holder disputes the newest automatic charge."""
        self.dispute = self.year.control.open_dispute(self.year.last_topup()["stripe_charge_id"])["id"]
        self.year.settle_down()

    def decide(self, *, won: bool) -> None:
        self.year.control.close_dispute(self.dispute, won=won)
        self.year.settle_down()

    def refund_topup(self) -> None:
        self.year.refund(self.year.last_topup()["stripe_payment_intent_id"])

    def resume(self, paused: str) -> None:
        assert self.year.paused == paused
        self.year.ledger.resume_auto_topup(ACCOUNT, "owner")


def sell(year: Year) -> dict[str, str]:
    """Prices at Stripe for every plan, by the plan's id."""
    prices = {}
    for plan, interval, amount, credits, portions in PLANS:
        product = year.client.v1.products.create({"name": plan})
        price: Any = {"product": product.id, "currency": "usd", "unit_amount": amount}
        prices[plan] = year.client.v1.prices.create(price | {"recurring": {"interval": interval}}).id
        year.query(
            "insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval,"
            " stripe_price_id, stripe_product_id, grant_interval) values (%s, %s, %s, %s, 'usd', %s, %s, %s, %s)"
            " on conflict (id) do update set stripe_price_id = excluded.stripe_price_id,"
            " stripe_product_id = excluded.stripe_product_id",
            plan, plan, credits * CREDIT, amount, interval, prices[plan], product.id, portions,
        )  # fmt: skip
    return prices


def assert_statements_tie_out(year: Year) -> set[str]:
    """One chain from nothing to the balance, by kind and by lot; the kinds that occurred."""
    statements = year.statements()
    assert len(statements) > DAYS // 31
    before = 0
    for statement in statements:
        assert statement["opening"] == before
        assert before + sum(kind["net"] for kind in statement["kinds"]) == statement["closing"]
        lots = sum(lot["closing"] for lot in statement["lots"])
        assert lots - statement["debt_closing"] == statement["closing"]
        before = statement["closing"]
    assert before == round(year.balance * CREDIT)
    return {kind["kind"] for statement in statements for kind in statement["kinds"]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_year_of_changes_ties_out_to_the_last_credit_and_cent(year: Year) -> None:
    story = Story(year)
    story.live()
    assert year.ledger.check_invariants() == []
    assert len(story.asked) == 1, "one price rise, one question"
    assert story.asked[0] >= PRICE_RISE_DAY

    money = year.money_in_books()
    assert money == year.money_at_stripe()
    assert set(money) == {"usd", "eur"}

    kinds = assert_statements_tie_out(year)
    assert kinds == {
        "signup", "purchase", "topup", "subscription", "plan_change", "usage", "refund", "dispute", "adjustment",
    }  # fmt: skip
    assert year.unexplained() == []

    causes = year.query("select distinct split_part(cause, ':', 1) as kind from billing.topups")
    assert causes == [{"kind": "entry"}], "nobody was charged for anything but a spend"
