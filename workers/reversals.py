"""Refunds, disputes and fraud warnings: what Stripe says of a payment after it was paid, told to the ledger.

No event says enough by itself: they come in any order, and a dispute names no customer. So each is a hint to list all
refunds and disputes of its PaymentIntent, and the ledger moves to what the list asks for.
"""

from __future__ import annotations

import logging

from shared import queue
from shared.errors import StripeUnavailable
from shared.models import Payment
from shared.stripe_facts import facts_of_reversals
from workers.app import App

log = logging.getLogger(__name__)

READINGS_MAX = 5


def follow(app: App, payment: Payment, intent_id: str) -> int:
    """Brings a payment's books to Stripe's refunds and disputes; answers the credits taken back, negative when given back.

    Somebody else's reading in between makes ours old: then both are read again.
    """
    for _ in range(READINGS_MAX):
        version = app.ledger.get_reversals(payment["id"])["version"]
        facts = facts_of_reversals(app.gateway.list_reversals(intent_id))
        result = app.ledger.reverse_payment(payment["id"], version, facts)
        if result["outcome"] == "stale":
            continue
        if result["credits"]:
            log.info("credits taken back", extra={"payment": payment["id"], "credits": result["credits"]})
        if result["topup_due"]:
            app.queue.hint(queue.CHECK_THRESHOLD, result["account_id"])
        return result["credits"]
    raise StripeUnavailable("the payment kept changing while it was read; try again")
