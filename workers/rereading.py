"""What the books know as not final, read again at Stripe: it may have changed long after it was made, and nobody said so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared import queue
from shared import stripe_subscriptions as at_stripe
from shared.stripe_cards import CardGateway, follow
from workers import purchases, restoring, reversals
from workers import subscriptions as mirror
from workers.repairing import Repairs

Row = dict[str, Any]
"""A row of ledger.list_unfinished."""


def open_payments(work: Repairs, rows: Iterable[Row]) -> None:
    """Payments that are under way, top-ups that wait for their card holder among them, and parked ones."""

    def read(row: Row) -> None:
        payment = work.app.ledger.get_payment(row["id"])
        if payment is None:
            return
        verdict = purchases.look_again(work.app, payment)
        if verdict is not None and verdict[0] == "parked":
            paid = (payment["parked_facts"] or {}).get("payment_intent")
            subject = payment["stripe_payment_intent_id"] or paid or payment["id"]
            work.differs(subject, payment["account_id"], str(verdict[1] or "parked"))

    work.each(rows, read)


def open_reversals(work: Repairs, rows: Iterable[Row]) -> None:
    """Refunds that are pending, disputes and inquiries that are not decided."""

    def read(row: Row) -> None:
        intents = [row["intent"]]
        if row["invoice"] is not None:
            intents = at_stripe.intents_of_invoice(work.app.gateway.client, row["invoice"])
        outcome = (
            reversals.follow_intent(work.app, intents[0]) if intents and intents[0] else "unknown_payment"
        )
        if outcome not in ("payment", "invoice"):
            work.differs(row["id"], row["account_id"], outcome)

    work.each(rows, read)


def open_invoices(work: Repairs, rows: Iterable[Row]) -> None:
    """Invoices that are not paid and not void: Stripe tries again for weeks, and uncollectible ones may be paid."""
    work.each(rows, lambda row: _mirrored(work, row, mirror.follow_invoice(work.app, row["id"])))


def open_subscriptions(work: Repairs, rows: Iterable[Row]) -> None:
    """Subscriptions that have not ended."""
    work.each(rows, lambda row: _mirrored(work, row, mirror.follow_subscription(work.app, row["id"])))


def customers_cards(work: Repairs, rows: Iterable[Row]) -> None:
    """Cards of every customer: added, removed or made the default since."""
    app = work.app

    def read(row: Row) -> None:
        if follow(app.ledger, CardGateway(app.gateway.client), row["account_id"], restoring.ACTOR):
            app.queue.hint(queue.CHECK_THRESHOLD, row["account_id"])

    work.each(rows, read)


def _mirrored(work: Repairs, row: Row, end: mirror.End) -> None:
    if end[0] == "parked":
        work.differs(row["id"], row["account_id"], str(end[1]))
