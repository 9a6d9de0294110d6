"""What reconciliation does with a page of Stripe's objects: compare, mend the way a webhook would, note the rest."""

from __future__ import annotations

import functools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from shared import queue, stripe_webhook
from shared.errors import Refused
from shared.models import Payment
from shared.reconciliation_models import Finding, Reconciliation
from shared.stripe_client import StripeRefused
from shared.stripe_facts import StripeData, id_of
from workers import cards, events, purchases, restoring, reversals
from workers import subscriptions as mirror
from workers.app import App

log = logging.getLogger(__name__)

# Reasons of ledger.compare_payments that only a person can settle.
_FOR_A_PERSON = frozenset({"parked", "not_paid", "another_intent"})


class Repairs:
    """One page's worth: the app, the run, and how many things were mended or noted."""

    def __init__(self, app: App, run: Reconciliation) -> None:
        self.app = app
        self.run = run
        self.counts: Counter[str] = Counter()

    def differs(
        self, subject: str, account_id: str | None, reason: str, details: dict[str, Any] | None = None
    ) -> None:
        """Notes what cannot be mended."""
        self.counts["differences"] += 1
        kind = self.run["step"]
        if self.app.ledger.record_difference(
            self.run["id"], kind, subject, account_id, reason, details or {}
        ):
            log.error(
                "difference with Stripe", extra={"subject": subject, "account": account_id, "reason": reason}
            )

    def mend(self, finding: Finding, repair: Callable[[], str | None]) -> None:
        """Runs a repair. It answers None, or the reason why nothing could be mended; a refusal is such a reason, too."""
        try:
            reason = repair()
        except Refused as error:
            reason = error.code
        except StripeRefused as error:
            reason = f"stripe_refused: {error.stripe_code}"
        if reason is not None:
            self.differs(finding["id"], finding["account_id"], reason)
            return
        self.counts["repaired"] += 1
        log.info("mended", extra={"subject": finding["id"], "account": finding["account_id"]})


def customers(work: Repairs, items: list[StripeData]) -> None:
    """Accounts that are missing here are opened again, and customers linked to theirs."""
    app = work.app
    sealed = [{"id": item["id"], "account": app.gateway.sealer.account_of(item)} for item in items]
    by_id = {item["id"]: item for item in items}
    for found in app.ledger.compare_customers(sealed):
        work.mend(found, lambda found=found: restoring.customer(app, by_id[found["id"]]))  # type: ignore[misc]


def payments(work: Repairs, items: list[StripeData]) -> None:
    """PaymentIntents: paid and not granted, granted and not paid, reversed, unknown here."""
    by_id = {item["id"]: item for item in items}
    ledger = work.app.ledger
    differing = ledger.compare_payments([_facts_of_payment(item) for item in items])
    for found in differing:
        _payment(work, found, by_id[found["id"]])
    if differing:
        # Those that are granted now are marked as seen; else each would be read by itself at the end of the run.
        ledger.compare_payments([_facts_of_payment(by_id[found["id"]]) for found in differing])


def _payment(work: Repairs, found: Finding, intent: StripeData) -> None:
    app, reason = work.app, found.get("reason", "")
    if reason in _FOR_A_PERSON:
        details = {"status": intent.get("status"), "payment_id": found.get("payment_id")}
        work.differs(found["id"], found["account_id"], reason, details)
    elif reason == "row_missing":
        if restoring.is_ours(app, intent):
            work.mend(found, lambda: restoring.payment(app, intent))
    else:
        payment = app.ledger.get_payment(found["payment_id"])
        if payment is not None:
            work.mend(found, lambda: _follow_payment(app, payment, intent, reason))


def _follow_payment(app: App, payment: Payment, intent: StripeData, reason: str) -> str | None:
    if reason == "reversals_behind":
        return _reversal_reason(reversals.follow_intent(app, intent["id"]))
    if payment["topup_id"] is not None and intent.get("status") != "succeeded":
        app.queue.hint(queue.CHARGE_TOPUP, payment["topup_id"], True)
        return None
    outcome, why = purchases.judge_intent(app, payment, intent, retry_possible=True)
    return why if outcome == "parked" else None


def refunds(work: Repairs, items: list[StripeData]) -> None:
    """Refunds, also those that failed after we had heard of them."""
    _reversals(work, items)


def disputes(work: Repairs, items: list[StripeData]) -> None:
    """Disputes."""
    _reversals(work, items)


def _reversals(work: Repairs, items: list[StripeData]) -> None:
    facts = [
        {"id": item["id"], "intent": id_of(item.get("payment_intent")), "status": item.get("status"),
         "amount": item.get("amount")}
        for item in items
    ]  # fmt: skip
    followed: set[str] = set()
    for found in work.app.ledger.compare_reversals(facts):
        intent_id = found["intent"]
        if intent_id not in followed:
            followed.add(intent_id)
            outcome = reversals.follow_intent(work.app, intent_id)
            if outcome != "not_ours":
                work.mend(found, functools.partial(_reversal_reason, outcome))


def _reversal_reason(outcome: str) -> str | None:
    """Why a refund or dispute could not be booked; None when it was."""
    return None if outcome in ("payment", "invoice") else outcome


def subscriptions(work: Repairs, items: list[StripeData]) -> None:
    """Subscriptions of our customers, whenever they began; with one that we have missed, the cards of its customer.

    Its Checkout saved a card, of which no SetupIntent and no payment of ours tells.
    """
    facts = []
    owners = {item["id"]: item.get("customer") for item in items}

    def follow(app: App, subscription_id: str) -> mirror.End:
        end = mirror.follow_subscription(app, subscription_id)
        cards.customer_updated(app, {"id": id_of(owners[subscription_id])})
        return end

    for item in items:
        ends = [part.get("current_period_end") for part in item["items"]["data"]]
        end = ends[0] if ends else None
        cancels = bool(item.get("cancel_at_period_end")) or bool(
            item.get("cancel_at") and end and item["cancel_at"] <= end
        )
        facts.append(
            {"id": item["id"], "customer": id_of(item.get("customer")), "status": item.get("status"),
             "cancels": cancels, "period_end": end}
        )  # fmt: skip
    _mirrors(work, facts, follow)


def invoices(work: Repairs, items: list[StripeData]) -> None:
    """Invoices of our customers; a paid one grants what it sold."""
    facts = [
        {"id": item["id"], "customer": id_of(item.get("customer")), "status": item.get("status"),
         "amount_paid": item.get("amount_paid")}
        for item in items
    ]  # fmt: skip
    _mirrors(work, facts, mirror.follow_invoice)


def _mirrors(work: Repairs, facts: list[dict[str, Any]], follow: Callable[[App, str], mirror.End]) -> None:
    for found in work.app.ledger.compare_mirrors(facts):

        def repair(found: Finding = found) -> str | None:
            state, reason = follow(work.app, found["id"])
            return reason if state == "parked" else None

        work.mend(found, repair)


def setups(work: Repairs, items: list[StripeData]) -> None:
    """Cards that were saved, and that we have not heard of."""
    saved = {id_of(item.get("payment_method")): item for item in items if item.get("status") == "succeeded"}
    for method_id in work.app.ledger.unknown_ids([method for method in saved if method is not None]):
        state, _reason = cards.setup_succeeded(work.app, saved[method_id])
        work.counts["repaired"] += state == "done"


def sessions(work: Repairs, items: list[StripeData]) -> None:
    """Checkout Sessions that expired unpaid."""
    for item in items:
        payment = work.app.ledger.find_payment(item["id"])
        if payment is not None and payment["status"] == "open":
            purchases.judge_session(work.app, payment, item)
            work.counts["repaired"] += 1


def missed_events(work: Repairs, items: list[StripeData]) -> None:
    """Events that Stripe could not deliver: kept and worked off as if they had come."""
    app = work.app
    known = {item["id"]: item for item in items if item.get("type") in events.HANDLERS}
    for event_id in app.ledger.unknown_ids(list(known)):
        # stripe-python reads decimals; on the wire they are strings.
        body = json.dumps(known[event_id], default=str).encode()
        event = stripe_webhook.read_event(body, live=app.settings.live)
        app.ledger.record_stripe_event(
            event.id,
            event.type,
            event.object_id,
            event.livemode,
            event.api_version,
            body,
            event.occurred_at,
            event.parked_reason,
        )
        events.process_event(app, event_id)
        work.counts["repaired"] += 1


def ours(work: Repairs, rows: Iterable[StripeData]) -> None:
    """Payments that are booked as paid: each is read at Stripe once in its life, unless a list has shown it before."""
    app = work.app
    for row in rows:
        intent_id = row["stripe_payment_intent_id"]
        if intent_id is None:
            work.differs(row["id"], row["account_id"], "no_payment_intent")
            continue
        try:
            intent = app.gateway.retrieve_intent(intent_id)
        except StripeRefused as error:
            work.differs(intent_id, row["account_id"], f"not_at_stripe: {error.stripe_code}")
            continue
        payments(work, [intent])


def _facts_of_payment(intent: StripeData) -> dict[str, Any]:
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    return {
        "id": intent["id"],
        "status": intent.get("status"),
        "payment": (intent.get("metadata") or {}).get("refill_payment_id"),
        "refunded": charge.get("amount_refunded") or 0,
        "disputed": bool(charge.get("disputed")),
    }
