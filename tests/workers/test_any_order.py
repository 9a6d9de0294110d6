"""Any order and number of everything that Stripe tells of one payment ends in the same books: 1,000 seeded histories.

Stripe's objects are read as they are when the event is worked off, which may be long after it was sent: in one half of the
seeds events come while the story goes on, in the other after its end. Our own looks come in between. The inbox, which keeps
events and their ends, has tests of its own (tests/workers/test_events.py); here its bodies are judged directly.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from shared.db import PostgresDatabase
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.workers.timeline import CREATED, Event, GrowingStripe, Life
from tests.workers.world import CREDIT, NotingQueue
from workers import events, purchases, topups
from workers.app import App

SEEDS = 250  # of each kind
BATCH = 25
BASE = 5  # credits that every account begins with: a top-up is due


class OneConnection(PostgresDatabase):
    """Many calls in one transaction: a commit each is what a thousand histories would mostly wait for."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.connection = psycopg.connect(dsn)

    def _run(self, statement: bytes, values: list[Any]) -> Any:
        row = self.connection.execute(statement, values).fetchone()
        return row[0] if row else None

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []


@dataclasses.dataclass
class Histories:
    app: App
    stripe: GrowingStripe
    database: OneConnection
    own: dict[str, str] = dataclasses.field(default_factory=dict)

    def begin(self, life: Life) -> None:
        """An account of the seed's own, and what we do before Stripe tells anything."""
        name, customer, ledger = life.name, f"cus_{life.name}", self.app.ledger
        ledger.open_account(name, "Test", "a@example.com", None, BASE * CREDIT, "test")
        ledger.link_customer(name, customer)
        ledger.set_default_payment_method(name, f"pm_{name}", {"brand": "visa"}, "test")
        wanted = {"enabled": True, "threshold": CREDIT, "package_id": "small", "text_version": "v1"}
        ledger.set_auto_topup(name, wanted, "test")
        getattr(self, f"_begin_{life.kind}")(life, customer)

    def _intent(self, life: Life, customer: str, metadata: dict[str, str]) -> None:
        self.stripe.add_intent(
            life.intent_id,
            status="requires_payment_method",
            amount=life.price,
            amount_received=0,
            currency="usd",
            customer=customer,
            payment_method=None,
            metadata=metadata,
        )

    def _purchase(self, life: Life, customer: str) -> dict[str, Any]:
        self.own[life.name] = f"pay_{life.name}"
        return dict(self.app.ledger.open_purchase(f"pay_{life.name}", life.name, "small", 1, customer))

    def _begin_checkout(self, life: Life, customer: str) -> None:
        session = self.stripe.add_session(self._purchase(life, customer), session_id=f"cs_{life.name}")
        self._intent(life, customer, session["metadata"])
        if life.random.random() < 0.8:  # else we died before its id was kept
            self.app.ledger.attach_checkout_session(f"pay_{life.name}", f"cs_{life.name}", "https://c.test")

    def _begin_intent(self, life: Life, customer: str) -> None:
        payment = self._purchase(life, customer)
        metadata = {"refill_payment_id": payment["id"], "refill_account_id": life.name}
        self._intent(life, customer, metadata)
        if life.random.random() < 0.8:
            self.app.ledger.attach_payment_intent(payment["id"], life.intent_id)

    def _begin_topup(self, life: Life, _customer: str) -> None:
        """The charge is ours; what becomes of it, Stripe tells."""
        self.app.ledger.record_usage([{"id": f"use_{life.name}", "amount": BASE * CREDIT}], life.name)
        opened = self.app.ledger.open_topup(life.name, f"top_{life.name}", f"pay_{life.name}")
        assert opened["topup_id"], opened
        self.own[life.name] = f"top_{life.name}"
        self.stripe.card = life.random.choice(["processing", "authentication", "decline:insufficient_funds"])
        self.stripe.lost["confirm"] = life.random.choice([0, 0, 1])
        topups.charge_topup(self.app, f"top_{life.name}")
        made = self.database.query(
            "select stripe_payment_intent_id from billing.payments where id = %s", f"pay_{life.name}"
        )[0]
        life.intent_id = made["stripe_payment_intent_id"] or next(
            key
            for key, one in self.stripe.intents.items()
            if one["metadata"].get("refill_account_id") == life.name
        )

    def _begin_subscription(self, life: Life, customer: str) -> None:
        self._intent(life, customer, {})
        line = {
            "id": f"il_{life.name}",
            "amount": life.price,
            "quantity": 1,
            "period": {"start": CREATED, "end": CREATED + 2_592_000},
            "parent": {"subscription_item_details": {"subscription": f"sub_{life.name}", "proration": False}},
            "pricing": {"price_details": {"price": "price_1", "product": "refill_plan_starter"}},
        }
        self.stripe.invoices[f"in_{life.name}"] = {
            "id": f"in_{life.name}",
            "object": "invoice",
            "customer": customer,
            "status": "open",
            "billing_reason": "subscription_create",
            "amount_due": life.price,
            "amount_paid": 0,
            "currency": "usd",
            "created": CREATED,
            "lines": {"data": [line], "has_more": False},
            "parent": {"subscription_details": {"subscription": f"sub_{life.name}", "metadata": {}}},
        }
        self.stripe.subscriptions[f"sub_{life.name}"] = {
            "id": f"sub_{life.name}",
            "object": "subscription",
            "customer": customer,
            "status": "active",
            "cancel_at_period_end": False,
            "created": CREATED,
            "items": {
                "data": [{"price": {"id": "price_1", "product": "refill_plan_starter"}, "quantity": 1}]
            },
        }

    def tell(self, event: Event) -> None:
        kind, subject = event
        body = {"id": "evt_1", "object": "event", "type": kind, "data": {"object": subject}}
        stored: Any = {"id": "evt_1", "type": kind, "payload": json.dumps(body).encode().hex()}
        state, reason = events.judge(self.app, stored)
        assert state in ("done", "ignored"), (kind, reason)

    def look(self, life: Life) -> None:
        """What the sweep does of itself."""
        if life.kind == "topup":
            self.database.query(
                "update billing.topups set next_attempt_at = now() where id = %s and next_attempt_at > now()",
                self.own[life.name],
            )
            topups.charge_topup(self.app, self.own[life.name])
        elif life.kind != "subscription" and self._known(life):
            purchases.check_payment(self.app, self.own[life.name])

    def _known(self, life: Life) -> bool:
        """A purchase that never got its id at Stripe is given up by a look; that is another story."""
        payment = self.app.ledger.get_payment(self.own[life.name])
        assert payment is not None
        return bool(payment["stripe_checkout_session_id"] or payment["stripe_payment_intent_id"])

    def play(self, life: Life, *, growing: bool) -> None:
        """All steps, and all of their events one to three times, in a random order that time allows."""
        waiting: list[Event] = []
        for step in life.steps:
            for event in step():
                waiting += [copy.deepcopy(event)] * life.random.choice([1, 1, 2, 3])
            while growing and waiting and life.random.random() < 0.6:
                self.tell(waiting.pop(life.random.randrange(len(waiting))))
            if growing and life.random.random() < 0.3:
                self.look(life)
        life.random.shuffle(waiting)
        for number, event in enumerate(waiting):
            if number == len(waiting) // 2:
                self.look(life)
            self.tell(event)
        self.look(life)

    def check(self, life: Life) -> None:
        """The books say what Stripe says in the end."""
        for_refunds, for_disputes, is_frozen, is_lost = life.taken()
        granted = life.credits * CREDIT if life.paid else 0
        began = 0 if life.kind == "topup" else BASE * CREDIT
        found = self.database.query(
            "select b.balance, b.status::text, s.paused_reason,"
            " (select count(*) from billing.credit_lots l where l.account_id = b.account_id and l.kind <> 'signup') as lots,"
            " (select coalesce(json_object_agg(r.id, r.status), '{}') from billing.payment_reversals r"
            "   where r.account_id = b.account_id and r.kind <> 'fraud_warning') as reversals,"
            " (select coalesce(-sum(amount), 0)::bigint from billing.credit_transactions t"
            "   where t.account_id = b.account_id and t.kind = 'refund') as refunds"
            " from billing.credit_balances b join billing.auto_topup_settings s using (account_id)"
            " where b.account_id = %s",
            life.name,
        )[0]
        paused = found.pop("paused_reason")
        assert found == {
            "balance": began + granted - for_refunds - for_disputes,
            "status": "paused" if is_frozen else "active",
            "lots": 1 if life.paid else 0,
            "reversals": {
                one["id"]: one["status"]
                for one in [*self.stripe.refunds.values(), *self.stripe.disputes.values()]
                if one["payment_intent"] == life.intent_id
            },
            "refunds": for_refunds,
        }
        assert paused is not None or not (life.warned or is_lost)


@pytest.mark.parametrize("kind", ["checkout", "intent", "topup", "subscription"])
def test_any_order_and_number_of_everything_that_is_told_ends_in_the_same_books(
    database: Database, settings: Settings, kind: str
) -> None:
    seam, stripe = OneConnection(database.dsn), GrowingStripe()
    seam.query(
        "insert into billing.credit_packages (id, name, credits, amount, currency)"
        " values ('small', 'Small', 100000000, 500, 'usd')"
    )
    histories = Histories(App(settings, Ledger(seam), stripe, NotingQueue()), stripe, seam)
    try:
        for seed in range(SEEDS):
            life = Life(stripe, random.Random(f"{kind} {seed}"), kind, f"{kind}_{seed}")
            histories.begin(life)
            life.plan()
            try:
                histories.play(life, growing=seed % 2 == 0)
                histories.check(life)
            except Exception as error:
                error.add_note(f"seed {seed} of {kind}")
                raise
            if seed % BATCH == BATCH - 1:
                seam.connection.commit()
        assert histories.app.ledger.check_invariants() == []
    finally:
        seam.connection.close()
        seam.close()
