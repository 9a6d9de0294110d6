"""Refunds, disputes and fraud warnings: what Stripe says of a payment or invoice after it was paid, told to the ledger.

No event says enough by itself: they come in any order, and a dispute names no customer. So each is a hint to list all
refunds and disputes of its PaymentIntent, and the ledger moves to what the list asks for.
"""

from __future__ import annotations

import logging

from shared import queue
from shared import stripe_subscriptions as at_stripe
from shared.errors import StripeUnavailable
from shared.stripe_facts import StripeData, facts_of_reversals
from workers.app import App
from workers.identify import Paid, paid_by

log = logging.getLogger(__name__)

READINGS_MAX = 5


def follow_intent(app: App, intent_id: str) -> str:
    """Grants what a PaymentIntent paid, if that was not done, and brings the books to its refunds and disputes at Stripe.

    Answers payment or invoice (what it paid), not_ours, or why a person must look: unknown_payment, account_mismatch,
    payment_mismatch, several_invoices. May be repeated by anybody. Raises the gateway's errors.
    """
    paid = paid_by(app, intent_id)
    if paid.payment_id is not None or paid.invoice_id is not None:
        _follow(app, paid, intent_id)
    return paid.outcome


def warn(app: App, intent_id: str, warning_id: str, fraud_type: str | None) -> str:
    """Books an early fraud warning about a PaymentIntent; answers as follow_intent."""
    paid = paid_by(app, intent_id)
    if paid.payment_id is not None or paid.invoice_id is not None:
        app.ledger.warn_of_fraud(warning_id, paid.payment_id, fraud_type, paid.invoice_id)
    return paid.outcome


def _follow(app: App, paid: Paid, intent_id: str) -> None:
    """Reads all refunds and disputes. Somebody else's reading in between makes ours old: then both are read again."""
    for _ in range(READINGS_MAX):
        version = app.ledger.get_reversals(paid.payment_id, paid.invoice_id)["version"]
        found = facts_of_reversals(_reversals(app, paid, intent_id))
        facts = found | {"freeze_on": app.settings.freeze_on}
        result = app.ledger.reverse_payment(paid.payment_id, version, facts, paid.invoice_id)
        if result["outcome"] == "stale":
            continue
        if result["credits"]:
            credits = {"payment": paid.payment_id, "invoice": paid.invoice_id, "credits": result["credits"]}
            log.info("credits taken back", extra=credits)
        if result["topup_due"]:
            app.queue.hint(queue.CHECK_THRESHOLD, result["account_id"])
        return
    raise StripeUnavailable("the payment kept changing while it was read; try again")


def _reversals(app: App, paid: Paid, intent_id: str) -> StripeData:
    """Refunds and disputes; an invoice may have been paid by several PaymentIntents."""
    intents = [intent_id]
    if paid.invoice_id is not None:
        intents = at_stripe.intents_of_invoice(app.gateway.client, paid.invoice_id)
    found = [app.gateway.list_reversals(one) for one in intents]
    return {name: [item for one in found for item in one[name]] for name in ("refunds", "disputes")}
