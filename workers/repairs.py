"""What reconciliation does with a page of Stripe's objects: compare, mend the way a webhook would, note the rest."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from shared import queue, stripe_webhook
from shared.models import Payment
from shared.reconciliation_models import Finding
from shared.stripe_client import StripeRefused
from shared.stripe_facts import StripeData, id_of
from workers import cards, events, purchases, restoring, reversals
from workers import subscriptions as mirror
from workers.app import App
from workers.repairing import Repairs, is_id

log = logging.getLogger(__name__)

# Reasons of ledger.compare_payments that only a person can settle.
_FOR_A_PERSON = frozenset({"parked", "not_paid", "another_intent"})


def customers(work: Repairs, items: list[StripeData]) -> None:
    """Accounts that are missing here are opened again, and customers linked to theirs."""
    app = work.app
    sealed = work.facts(
        items, lambda item: {"id": item["id"], "account": app.gateway.sealer.account_of(item)}
    )
    by_id = {item["id"]: item for item in items}
    for found in work.compare(sealed, app.ledger.compare_customers):
        work.mend(found, lambda found=found: restoring.customer(app, by_id[found["id"]]))  # type: ignore[misc]


def payments(work: Repairs, items: list[StripeData]) -> None:
    """PaymentIntents: paid and not granted, granted and not paid, reversed, unknown here."""
    by_id = {item["id"]: item for item in items}
    ledger = work.app.ledger
    facts = {one["id"]: one for one in work.facts(items, _facts_of_payment)}
    differing = work.compare(list(facts.values()), ledger.compare_payments)
    for found in differing:
        work.guard(
            found["id"],
            found["account_id"],
            lambda found=found: _payment(work, found, by_id[found["id"]]),  # type: ignore[misc]
        )
    if differing:
        # Those that are granted now are marked as seen; else each would be read by itself at the end of the run.
        work.compare([facts[found["id"]] for found in differing], ledger.compare_payments)


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
    ledger = work.app.ledger
    facts = work.facts(items, _facts_of_reversal)
    followed: set[str] = set()
    foreign: set[str] = set()
    for found in work.compare(facts, lambda some: ledger.compare_reversals(some, foreign=work.deep)):
        intent_id = found["intent"]
        if intent_id in followed:
            continue
        followed.add(intent_id)
        outcome = work.guard(
            found["id"],
            found["account_id"],
            functools.partial(reversals.follow_intent, work.app, intent_id),
        )
        if outcome == "not_ours":
            foreign.add(intent_id)
        elif outcome is not None:
            work.mend(found, functools.partial(_reversal_reason, outcome))
    if foreign:
        ledger.note_foreign_intents(sorted(foreign))


def _facts_of_reversal(item: StripeData) -> dict[str, Any]:
    facts = {name: item.get(name) for name in ("status", "amount")}
    return {"id": item["id"], "intent": id_of(item.get("payment_intent")), **facts}


def _reversal_reason(outcome: str) -> str | None:
    """Why a refund or dispute could not be booked; None when it was."""
    return None if outcome in ("payment", "invoice") else outcome


def subscriptions(work: Repairs, items: list[StripeData]) -> None:
    """Subscriptions of our customers, whenever they began; with one that we have missed, the cards of its customer.

    Its Checkout saved a card, of which no SetupIntent and no payment of ours tells.
    """
    owners = {item["id"]: item.get("customer") for item in items}

    def follow(app: App, subscription_id: str) -> mirror.End:
        end = mirror.follow_subscription(app, subscription_id)
        cards.customer_updated(app, {"id": id_of(owners[subscription_id])})
        return end

    _mirrors(work, work.facts(items, _facts_of_subscription), follow)


def _facts_of_subscription(item: StripeData) -> dict[str, Any]:
    ends = [part.get("current_period_end") for part in item["items"]["data"]]
    end = ends[0] if ends else None
    cancels = bool(item.get("cancel_at_period_end")) or bool(
        item.get("cancel_at") and end and item["cancel_at"] <= end
    )
    return {
        "id": item["id"],
        "customer": id_of(item.get("customer")),
        "status": item.get("status"),
        "cancels": cancels,
        "period_end": end,
    }


def invoices(work: Repairs, items: list[StripeData]) -> None:
    """Invoices of our customers; a paid one grants what it sold."""
    _mirrors(work, work.facts(items, _facts_of_invoice), mirror.follow_invoice)


def _facts_of_invoice(item: StripeData) -> dict[str, Any]:
    facts = {name: item.get(name) for name in ("status", "amount_paid")}
    return {"id": item["id"], "customer": id_of(item.get("customer")), **facts}


def _mirrors(work: Repairs, facts: list[dict[str, Any]], follow: Callable[[App, str], mirror.End]) -> None:
    for found in work.compare(facts, work.app.ledger.compare_mirrors):

        def repair(found: Finding = found) -> str | None:
            state, reason = follow(work.app, found["id"])
            return reason if state == "parked" else None

        work.mend(found, repair)


def setups(work: Repairs, items: list[StripeData]) -> None:
    """Cards that were saved, and that we have not heard of."""
    saved = {id_of(item.get("payment_method")): item for item in items if item.get("status") == "succeeded"}
    unknown = work.app.ledger.unknown_ids([method for method in saved if is_id(method)])

    def save(item: StripeData) -> None:
        state, _reason = cards.setup_succeeded(work.app, item)
        work.counts["repaired"] += state == "done"

    work.each([saved[method] for method in unknown], save)


def sessions(work: Repairs, items: list[StripeData]) -> None:
    """Checkout Sessions that expired unpaid."""

    def close(item: StripeData) -> None:
        payment = work.app.ledger.find_payment(item["id"])
        if payment is not None and payment["status"] == "open":
            purchases.judge_session(work.app, payment, item)
            work.counts["repaired"] += 1

    work.each(items, close)


def missed_events(work: Repairs, items: list[StripeData]) -> None:
    """Events that are not here, delivered to a database that is lost or never: kept and worked off as if they had come."""
    app = work.app

    def receive(item: StripeData) -> None:
        # stripe-python reads decimals; on the wire they are strings.
        body = json.dumps(item, default=str).encode()
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
        if events.process_event(app, event.id) == "deferred":
            work.not_compared("events that wait for Stripe")
        work.counts["repaired"] += 1

    handled = [item for item in items if item.get("type") in events.HANDLERS]
    ids = [item["id"] for item in handled if is_id(item.get("id"))]
    unknown = set(app.ledger.unknown_ids(ids))
    # What is here is worked off or parked by its own path.
    app.ledger.settle_unreadable([event_id for event_id in ids if event_id not in unknown])
    # Oldest first: as they came. What has no usable id is told by the receiver's own check.
    work.each(
        [item for item in reversed(handled) if item.get("id") in unknown or not is_id(item.get("id"))],
        receive,
    )


def ours(work: Repairs, rows: Iterable[StripeData]) -> None:
    """Payments that are booked as paid: each is read at Stripe once in its life, unless a list has shown it before."""

    def read(row: StripeData) -> None:
        intent_id = row["stripe_payment_intent_id"]
        if intent_id is None:
            work.differs(row["id"], row["account_id"], "no_payment_intent")
            return
        try:
            intent = work.app.gateway.retrieve_intent(intent_id)
        except StripeRefused as error:
            work.differs(intent_id, row["account_id"], f"not_at_stripe: {error.stripe_code}")
            return
        payments(work, [intent])

    work.each(rows, read)


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
