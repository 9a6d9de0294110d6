"""Thirty days of accounts with auto top-up, an hour at a time: usage, the sweep and what it enqueues, events, notices.

The clock is simulated: every row becomes older by an hour, and the local Stripe's clock moves on by as much. What Stripe
keeps of charges is what the tests compare with, never what the books say of themselves.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import psycopg
import stripe
from psycopg.rows import dict_row

from local.clock import age
from local.stripe.control import Control
from shared import queue
from shared.db import PostgresDatabase
from shared.errors import Refused
from shared.ledger import Ledger
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database
from tests.workers.world import CREDIT, NotingQueue
from workers import delivery, events, maintenance, purchases, topups
from workers.app import App

HOUR = 3600
DAYS = 30
START, THRESHOLD, TOPUP = 22, 10, 100
ACTORS: dict[str, Callable[[App, Any], None]] = {
    queue.CHECK_THRESHOLD: topups.check_threshold,
    queue.CHARGE_TOPUP: topups.charge_topup,
    queue.PROCESS_EVENT: events.process_event,
    queue.CHECK_PAYMENT: purchases.check_payment,
    queue.SEND_NOTICE: delivery.send_notice,
}
# A row an hour and account, and only statements ask for its age.
SPARED = ("credit_transactions",)
Plan = dict[int, Callable[["Tenant"], None]]


@dataclasses.dataclass
class Tenant:
    """One account of the month. `usage`: credits an hour that are recorded afterwards; `spends`: refused when not there."""

    month: Month
    id: str
    customer: str
    method: str
    usage: float = 1
    spends: float = 0
    plan: Plan = dataclasses.field(default_factory=dict)

    @property
    def attempts(self) -> list[int]:
        """The hours in which Stripe was asked to charge, also when the card declined."""
        listed = self.month.client.v1.charges.list({"customer": self.customer, "limit": 100})
        charges = list(listed.auto_paging_iter())
        return sorted((charge.created - self.month.begun) // HOUR for charge in charges)

    @property
    def charged(self) -> int:
        """How often money was really taken."""
        return int(self.month.control.charges(customer=self.customer)["succeeded"])

    @property
    def notices(self) -> Counter[str]:
        """How often each topic was told."""
        rows = self.month.query(
            "select topic, count(*) as n from billing.outbox where account_id = %s group by 1", self.id
        )
        return Counter({row["topic"]: row["n"] for row in rows})

    @property
    def balance(self) -> float:
        row = self.month.query("select balance from billing.credit_balances where account_id = %s", self.id)
        return float(row[0]["balance"]) / CREDIT

    @property
    def settings(self) -> dict[str, Any]:
        return self.month.query("select * from billing.auto_topup_settings where account_id = %s", self.id)[0]

    @property
    def status(self) -> str:
        return str(self.month.ledger.get_account(self.id)["status"])

    def spend(self, credits: float) -> None:
        """Once, all of it."""
        self.month.ledger.spend_credits(
            self.id, {"id": "once", "amount": int(credits * CREDIT), "quantity": 1}
        )

    def resume(self) -> None:
        self.month.ledger.resume_auto_topup(self.id, "owner")

    def renew_card(self) -> None:
        """The bank sends a new expiry date, and Stripe's card updater tells."""
        self.month.control.behave(self.method, outcome=None)
        self.month.control.update_card(self.method)


class Month:
    """Accounts that live through the same days."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        client: stripe.StripeClient,
        control: Control,
        sealer: Any,
    ) -> None:
        self.connection: psycopg.Connection[Any] = database.connect()
        self.ledger = Ledger(PostgresDatabase(database.dsn, pool_size=2))
        self.queue = NotingQueue()
        self.app = App(settings, self.ledger, StripeGateway(client, sealer), self.queue)
        self.client, self.control = client, control
        self.tenants: list[Tenant] = []
        self.hour = 0
        self.begun = 0
        self._ids = itertools.count(1)
        self._last_event: str | None = None
        self.query(
            "insert into billing.credit_packages (id, name, credits, amount, currency)"
            " values ('small', 'Small', 100000000, 500, 'usd')"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.ledger.database.close()
        self.connection.close()

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def tenant(self, name: str, *, card: dict[str, Any] | None = None, **more: Any) -> Tenant:
        """An account of 22 credits, topped up by 100 for 5 dollars at 10; `card`: what its card does, as control.behave."""
        customer = self.app.gateway.ensure_customer(name, name, f"{name}@example.com")
        method = self.client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
        if card is not None:
            self.control.behave(method, **card)
        self.ledger.open_account(name, name, f"{name}@example.com", None, START * CREDIT, "test")
        self.ledger.link_customer(name, customer)
        self.ledger.set_default_payment_method(name, method, {"brand": "visa", "fingerprint": name}, "test")
        wanted = {
            "enabled": True,
            "threshold": THRESHOLD * CREDIT,
            "package_id": "small",
            "text_version": "v1",
        }
        self.ledger.set_auto_topup(name, wanted, "owner")
        self.tenants.append(Tenant(self, name, customer, method, **more))
        return self.tenants[-1]

    def live(self, days: int = DAYS) -> None:
        """Lets the days pass. After each of them every invariant holds."""
        self.begun = self.begun or self._stripe_now()
        for _ in range(days * 24):
            self._hour()
            if self.hour % 24 == 0:
                assert self.ledger.check_invariants() == [], f"after hour {self.hour}"

    def _stripe_now(self) -> int:
        return int(self.client.v1.customers.create({"name": "clock"}).created)

    def _hour(self) -> None:
        for tenant in self.tenants:
            if self.hour in tenant.plan:
                tenant.plan[self.hour](tenant)
        self._use()
        for tenant in self.tenants:
            topups.check_threshold(self.app, tenant.id)
        maintenance.sweep(self.app)
        self._work()
        self._deliver()
        self._work()
        age(self.connection, "1 hour", SPARED)
        self.control.advance(HOUR)
        self.hour += 1

    def _use(self) -> None:
        """Everybody's usage in one batch, then the spends, some of which are refused."""
        batch = [
            {"id": f"u{next(self._ids)}", "account_id": tenant.id, "amount": int(tenant.usage * CREDIT), "quantity": 1}
            for tenant in self.tenants if tenant.usage
        ]  # fmt: skip
        if batch:
            assert self.ledger.record_usage(batch)["accepted"] == len(batch)
        for tenant in self.tenants:
            if tenant.spends:
                event = {"id": f"s{next(self._ids)}", "amount": int(tenant.spends * CREDIT), "quantity": 1}
                try:
                    self.ledger.spend_credits(tenant.id, event)
                except Refused as error:
                    if error.code not in ("insufficient_credits", "account_paused"):
                        raise

    def _work(self) -> None:
        """Whatever was enqueued, until nothing is."""
        for _ in range(20):
            if not self.queue.sent:
                return
            sent, self.queue.sent = self.queue.sent, []
            for actor, subject in sent:
                ACTORS[actor](self.app, subject)
        raise AssertionError(f"the queue does not come to rest: {self.queue.sent}")

    def _deliver(self) -> None:
        """Every event since the last hour, newest first, each twice."""
        query: dict[str, Any] = {"limit": 100}
        if self._last_event is not None:
            query["ending_before"] = self._last_event
        found = [event.to_dict() for event in self.client.v1.events.list(query).data]
        if not found:
            return
        self._last_event = found[0]["id"]
        for event in [*found, *found]:
            raw = json.dumps(event, default=str).encode()
            self.ledger.record_stripe_event(event["id"], event["type"], None, False, None, raw, None, None)
            events.process_event(self.app, event["id"])
