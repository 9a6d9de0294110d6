"""Whose an object of Stripe's is: the payment of ours, or the subscription invoice, that it is about.

Objects of an account at Stripe that sells more than Refill does are told apart here: by our metadata, then by the customer.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from shared import stripe_subscriptions as at_stripe
from shared.models import Payment
from shared.seals import SEAL
from shared.stripe_facts import StripeData, id_of
from workers import purchases, restoring, subscriptions
from workers.app import App
from workers.subscriptions import NOT_OURS, End

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


class Malformed(Exception):
    """What Stripe sent cannot be worked on; the text says why."""


class Paid(NamedTuple):
    """What a PaymentIntent paid: outcome payment or invoice, with its id; else not_ours, or why a person must look."""

    outcome: str
    payment_id: str | None = None
    invoice_id: str | None = None


def checked_id(value: Any) -> str:
    """The value, if it may be an id. Raises Malformed."""
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise Malformed("no usable id")
    return value


def payment_of(app: App, subject: StripeData) -> tuple[Payment | None, End]:
    """The payments row of a Session or PaymentIntent; or None, and how its event then ends.

    Stripe's objects without our metadata belong to something else, a subscription or the Dashboard.
    """
    metadata = subject.get("metadata")
    named = metadata.get("refill_payment_id") if isinstance(metadata, dict) else None
    found = app.ledger.find_payment(subject["id"])
    if named is None or not isinstance(metadata, dict):
        return found, NOT_OURS
    payment = app.ledger.get_payment(checked_id(named))
    if payment is None:
        return _forgotten(app, subject)
    if metadata.get("refill_account_id") != payment["account_id"]:
        return None, ("parked", "account_mismatch")
    if found is not None and found["id"] != payment["id"]:
        return None, ("parked", "payment_mismatch")
    return payment, ("done", None)


def _forgotten(app: App, subject: StripeData) -> tuple[Payment | None, End]:
    """A payment that no row knows: restored, if the books are those of an older backup; or it was never ours."""
    itself = str(subject["id"]).startswith("pi_")
    intent_id = subject["id"] if itself else id_of(subject.get("payment_intent"))
    if intent_id is None or SEAL not in subject["metadata"]:
        return None, ("parked", "unknown_payment")
    reason = restoring.payment(app, app.gateway.retrieve_intent(checked_id(intent_id)))
    if reason is not None:
        return None, ("parked", f"unknown_payment: {reason}")
    return app.ledger.get_payment(subject["metadata"]["refill_payment_id"]), ("done", "forgotten_payment")


def paid_by(app: App, intent_id: str) -> Paid:
    """What a PaymentIntent paid, granted if Stripe says so and nobody told before."""
    payment = app.ledger.find_payment(intent_id)
    if payment is None or payment["status"] in ("open", "processing"):
        intent = app.gateway.retrieve_intent(intent_id)
        payment, end = payment_of(app, intent)
        if payment is None:
            return _invoice_of(app, intent) if end == NOT_OURS else Paid(str(end[1]))
        purchases.judge_intent(app, payment, intent, retry_possible=True)
    return Paid("payment", payment_id=payment["id"])


def _invoice_of(app: App, intent: StripeData) -> Paid:
    """The invoice that a PaymentIntent of one of our customers paid; other customers' are not even read."""
    customer = id_of(intent.get("customer"))
    if customer is None or app.ledger.find_customer_account(customer) is None:
        return Paid("not_ours")
    invoices = at_stripe.invoices_of_intent(app.gateway.client, intent["id"])
    if not invoices:
        return Paid("not_ours")
    if len(invoices) > 1:
        return Paid("several_invoices")  # whose share is refunded, nobody says
    state, reason = subscriptions.follow_invoice(app, invoices[0])
    if state != "done":
        return Paid(str(reason))
    return Paid("invoice", invoice_id=invoices[0])
