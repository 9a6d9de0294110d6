"""An account with auto top-up on a real database, Stripe in memory, a queue that only notes what comes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import psycopg
from dramatiq.brokers.stub import StubBroker
from psycopg.rows import dict_row

from local.clock import age
from shared.db import PostgresDatabase
from shared.ledger import Ledger
from shared.queue import Queue
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database
from tests.workers.fake_stripe import FakeStripe
from workers import events, purchases, topups
from workers.app import App

CREDIT = 1_000_000
ACCOUNT = "acct_test"
CUSTOMER = "cus_test"


class NotingQueue(Queue):
    """Keeps messages instead of sending them."""

    def __init__(self) -> None:
        super().__init__(StubBroker())
        self.sent: list[tuple[str, Any]] = []
        self.messages: list[tuple[object, ...]] = []
        self.error: Exception | None = None

    def enqueue(self, actor: str, *args: object) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((actor, args[0] if args else None))
        self.messages.append((actor, *args))


@dataclasses.dataclass
class World:
    """What a test acts on. Balances are in credits."""

    app: App
    stripe: FakeStripe
    queue: NotingQueue
    connection: psycopg.Connection[Any]
    database: Database
    ids: Any = dataclasses.field(default_factory=lambda: itertools.count(1))

    @property
    def ledger(self) -> Ledger:
        return self.app.ledger

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    @property
    def balance(self) -> float:
        return (
            self.query("select balance from billing.credit_balances where account_id = %s", ACCOUNT)[0][
                "balance"
            ]
            / CREDIT
        )

    @property
    def grants(self) -> int:
        return self.query(
            "select count(*) as n from billing.credit_lots"
            " where account_id = %s and kind in ('purchase', 'topup')",
            ACCOUNT,
        )[0]["n"]

    @property
    def topups(self) -> list[dict[str, Any]]:
        return self.query("select * from billing.topups order by created_at, id")

    @property
    def topup(self) -> dict[str, Any]:
        """The newest top-up."""
        return self.topups[-1]

    @property
    def settings(self) -> dict[str, Any]:
        return self.query("select * from billing.auto_topup_settings")[0]

    def notices(self, topic: str) -> list[dict[str, Any]]:
        return self.query("select * from billing.outbox where topic = %s order by id", topic)

    def enable(self, **changes: Any) -> None:
        """Auto top-up at 10 credits, by one package of 100 for 5 dollars."""
        wanted = {"enabled": True, "threshold": 10 * CREDIT, "package_id": "small", "text_version": "v1"}
        self.ledger.set_auto_topup(ACCOUNT, wanted | changes, "test")

    def spend(self, amount: int) -> dict[str, Any]:
        event = {"id": f"spend_{next(self.ids)}", "amount": amount * CREDIT, "quantity": 1}
        return dict(self.ledger.spend_credits(ACCOUNT, event))

    def check(self) -> None:
        topups.check_threshold(self.app, ACCOUNT)

    def charge(self) -> None:
        """Another look at the newest top-up, as the sweep would have it when it is due."""
        self.query("update billing.topups set next_attempt_at = now() where next_attempt_at > now()")
        topups.charge_topup(self.app, self.topup["id"])

    def age(self, interval: str) -> None:
        """Lets time pass: every time in the books becomes older by the interval."""
        age(self.connection, interval)

    def buy(self, *, attach: str | None = "cs_1") -> dict[str, Any]:
        """A purchase whose Checkout Session is open."""
        payment_id = f"pay_{next(self.ids)}"
        payment = self.ledger.open_purchase(payment_id, ACCOUNT, "small", 1, CUSTOMER)
        self.stripe.add_session(dict(payment), session_id=attach or "cs_1")
        if attach:
            payment = self.ledger.attach_checkout_session(payment_id, attach, "https://stripe.test/c")
        return dict(payment)

    def payment(self, payment_id: str) -> dict[str, Any]:
        payment = self.ledger.get_payment(payment_id)
        assert payment is not None
        return dict(payment)

    def receive(self, event_type: str, subject: Any, **envelope: Any) -> str:
        """Stores an event as the receiver does, and works it off; answers its id."""
        event_id = f"evt_{next(self.ids)}"
        body = {
            "id": event_id,
            "object": "event",
            "type": event_type,
            "data": {"object": subject},
            **envelope,
        }
        return self.receive_raw(event_type, json.dumps(body).encode(), event_id)

    def receive_raw(self, event_type: str, raw: bytes, event_id: str | None = None) -> str:
        event_id = event_id or f"evt_{next(self.ids)}"
        self.ledger.record_stripe_event(event_id, event_type, None, False, None, raw, None, None)
        events.process_event(self.app, event_id)
        return event_id

    def event(self, event_id: str) -> tuple[str, str | None]:
        row = self.query("select state, reason from billing.stripe_events where id = %s", event_id)[0]
        return row["state"], row["reason"]

    def check_payment(self, payment_id: str) -> None:
        purchases.check_payment(self.app, payment_id)

    def assert_sound(self) -> None:
        assert self.ledger.check_invariants() == []


def make_world(
    database: Database,
    settings: Settings,
    *,
    gateway: StripeGateway | None = None,
    customer: str = CUSTOMER,
    method: str = "pm_1",
) -> World:
    """An account with 100 credits, a customer and a card; Stripe is in memory unless a gateway is given."""
    connection = database.connect()
    connection.execute(
        "insert into billing.credit_packages (id, name, credits, amount, currency)"
        " values ('small', 'Small', 100000000, 500, 'usd') on conflict (id) do nothing"
    )
    stripe, queue = FakeStripe(), NotingQueue()
    ledger = Ledger(PostgresDatabase(database.dsn, pool_size=4))
    world = World(App(settings, ledger, gateway or stripe, queue), stripe, queue, connection, database)
    ledger.open_account(ACCOUNT, "Test", "owner@example.com", None, 100 * CREDIT, "test")
    ledger.link_customer(ACCOUNT, customer)
    ledger.set_default_payment_method(ACCOUNT, method, {"brand": "visa", "fingerprint": "f1"}, "test")
    world.enable()
    return world
