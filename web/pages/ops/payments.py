"""Payments of all accounts, and what becomes of those that are parked."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from flask import request
from werkzeug.wrappers import Response

from shared import money, queue
from shared.errors import Refused
from shared.models import Payment
from web.fields import Body, Reason
from web.pages.frame import action, filled_in, told
from web.pages.ops import frame
from web.services import services

PATH = "/ops/payments"
STATES = ("parked", "closed", "open", "processing", "succeeded", "failed", "canceled")
SHOWN = 100

blueprint = frame.blueprint("payments")


class Note(Body):
    """What became of the money of a payment that is closed."""

    note: Reason


class Compared(NamedTuple):
    """One thing that our row and Stripe say; None: nothing."""

    label: str
    ours: str | None
    stripes: str | None
    differs: bool


@blueprint.get("/payments")
def show() -> str:
    """The newest payments, of one state if given."""
    state = request.args.get("state")
    state = state if state in STATES else None
    found = services().ledger.list_recent_payments(state, SHOWN)
    return frame.page(
        "ops/payments.html", "payments", payments=found, state=state, states=STATES, shown=SHOWN
    )


@blueprint.get("/payments/<payment_id>")
def payment(payment_id: str) -> str:
    """One payment with all that hangs on it, and what can be done about it."""
    found = services().ledger.inspect_payment(payment_id.replace("\0", ""))
    if found is None:
        raise Refused("There is no such payment.", code="not_found", status=404)
    return frame.page(
        "ops/payment.html",
        "payments",
        payment=found,
        state=state_of(found),
        compared=compared(found),
        dashboard=f"https://dashboard.stripe.com/{'' if services().settings.live else 'test/'}",
    )


@blueprint.post("/payments/check")
@action(PATH)
def check() -> str | Response:
    """Has Stripe asked again what became of a payment, the way the sweep does."""
    payment_id = _named()
    services().ledger.recheck_payment(payment_id, frame.operator().actor)
    services().queue.hint(queue.CHECK_PAYMENT, payment_id)
    return told("Stripe is being asked. Reload this page in a moment.", _of(payment_id))


@blueprint.post("/payments/close")
@action(PATH)
def close() -> str | Response:
    """Decides that a parked payment is never granted."""
    payment_id = _named()
    services().ledger.close_payment(payment_id, filled_in(Note).note, frame.operator().actor)
    return told("The payment is closed: nothing grants it any more.", _of(payment_id))


def state_of(row: Payment) -> str:
    """The status, or closed."""
    return "closed" if row["closed_at"] else row["status"]


def compared(row: Payment) -> list[Compared]:
    """What our row asked for beside what Stripe said when it was parked; nothing of a payment that never was."""
    facts = row["parked_facts"]
    if facts is None:
        return []
    ours, stripes = money.to_text(row["amount"], row["currency"]), None
    if facts.get("amount_received") is not None and facts.get("currency"):
        stripes = money.to_text(facts["amount_received"], facts["currency"])
    rows = [
        Compared("Paid", ours, stripes, ours != stripes),
        Compared(
            "Customer",
            row["stripe_customer_id"],
            facts.get("customer"),
            row["stripe_customer_id"] != facts.get("customer"),
        ),
    ]
    # An id that one side does not know yet is no difference.
    for label, name, own in (
        ("PaymentIntent", "payment_intent", row["stripe_payment_intent_id"]),
        ("Checkout Session", "checkout_session", row["stripe_checkout_session_id"]),
    ):
        theirs = facts.get(name)
        rows.append(Compared(label, own, theirs, None not in (own, theirs) and own != theirs))
    return rows


def _named() -> str:
    return request.form.get("payment_id", "").replace("\0", "")


def _of(payment_id: str) -> str:
    return f"{PATH}/{quote(payment_id, safe='')}"
