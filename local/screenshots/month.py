"""An account with a month behind it, which fills every page."""

from __future__ import annotations

import datetime as dt
import random

import psycopg

from local import buyer
from local.api import await_value
from local.clock import age
from local.scene import THRESHOLD, Place, Scene
from local.screenshots.visits import Act, Visit
from shared.stripe_client import make_client
from web.pages.frame import SECTIONS

DAYS = 30
SUBSCRIBED_DAY = 5
SECOND_PURCHASE_DAY = 12
REFUND_AMOUNT = 200
WEEKEND = 5
# Who does what for whom.
WORK = (
    ("researcher", "research", "strategy"),
    ("researcher", "tool_call", "strategy"),
    ("support", "message", "service"),
    ("support", "message", "service"),
    ("support", "tool_call", "service"),
    ("designer", "image", "marketing"),
    ("designer", "message", "marketing"),
)
CAPS = {
    "day": {"amount": 2000, "currency": "usd"},
    "month": {"amount": 10_000, "currency": "usd"},
    "per_hour": 3,
}


def pages(enter: Act) -> list[Visit]:
    """Every page of the navigation, and some of the ways to look at them."""
    return [
        *(Visit(entry.name, entry.path, enter) for entry in SECTIONS),
        Visit("usage-by-action", "/billing/usage?by=action&days=90", enter),
        Visit("history-purchases", "/billing/history?kind=purchase", enter),
        Visit("history-nothing", "/billing/history?kind=dispute", enter),
    ]


class Month:
    """Thirty days of an account, made one after the other; each makes what was before it a day older."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.place = Place(scene, "demo")
        self.api = self.place.api
        self._random = random.Random(7)  # noqa: S311 - traffic, not secrets

    def live(self) -> None:
        """Two purchases, top-ups when they are due, a refund, limits, a hold, and usage on every day."""
        self.api.open_account("Demo Ltd", "owner@example.com")
        with psycopg.connect(self.scene.database_url, autocommit=True) as connection:
            for day in range(DAYS):
                if day:
                    age(connection, "1 day")
                if day == 0:
                    self._buy("credits_250")
                    self.place.enable_topup(caps=CAPS)
                elif day == SUBSCRIBED_DAY:
                    self._subscribe()
                elif day == SECOND_PURCHASE_DAY:
                    self._buy("credits_100")
                    self._refund(connection)
                self._work(day)
            # The entries of usage have the times of their events already; those are not aged twice.
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update billing.credit_transactions set occurred_at = created_at where kind = 'usage'"
            )
        self._limits()
        self.api.post("/api/credits/holds", id="run-42", amount="12", agent="researcher")

    def _buy(self, package: str) -> None:
        before = self.api.available()
        buyer.pay(self.api.post("/api/billing/checkout-sessions", package_id=package)["url"])
        await_value(lambda: self.api.available() > before, f"{package} to be granted")

    def _subscribe(self) -> None:
        before = self.api.available()
        buyer.pay(self.api.post("/api/billing/checkout-sessions", plan_id="starter")["url"])
        await_value(lambda: self.api.available() > before, "the plan's credits to be granted")

    def _refund(self, connection: psycopg.Connection) -> None:
        """As made in Stripe's Dashboard: a part of the second purchase."""
        query = (
            "select stripe_payment_intent_id from billing.payments where purpose = 'purchase'"
            " order by created_at desc limit 1"
        )
        (intent,) = connection.execute(query).fetchone() or (None,)
        before = self.api.available()
        stripe = make_client(self.scene.settings)
        stripe.v1.refunds.create({"payment_intent": str(intent), "amount": REFUND_AMOUNT})
        await_value(lambda: self.api.available() < before, "the refund's credits to be taken back")

    def _work(self, day: int) -> None:
        at = dt.datetime.now(dt.UTC) - dt.timedelta(days=DAYS - 1 - day)
        events = [
            {
                "id": f"event-{day}-{number}",
                "action": action,
                "agent": agent,
                "department_id": department,
                "run_id": f"run-{day}",
                "occurred_at": at.isoformat(),
            }
            for number in range(
                self._random.randint(3, 6) if at.weekday() >= WEEKEND else self._random.randint(7, 14)
            )
            for agent, action, department in [self._random.choice(WORK)]
        ]
        self.api.post_events(events)
        await_value(lambda: self.api.available() > THRESHOLD, "the top-up to be granted")

    def _limits(self) -> None:
        for scope, name, window, credits, hard in (
            ("agent", "researcher", "day", "60", True),
            ("department", "marketing", "month", "400", True),
            ("department", "service", "week", "100", False),
        ):
            self.api.put(
                "/api/credits/limits", scope=scope, scope_id=name, window=window, credits=credits, hard=hard
            )
