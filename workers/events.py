"""Stripe's events: each a hint to look at an object, read from Stripe again before credits move.

Events come in any order, more than once, and two of them announce one payment; so nothing here depends on
which one comes first. HANDLERS lists the types that Refill acts on; every other type is ignored.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from shared import queue, stripe_notes
from shared.errors import DatabaseUnavailable, Refused, StripeUnavailable
from shared.models import StripeEvent
from shared.observability import log_context
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_facts import StripeData, id_of
from workers import cards, purchases, reversals, subscriptions
from workers.app import App
from workers.identify import Malformed, checked_id, payment_of
from workers.subscriptions import NOT_OURS, End

log = logging.getLogger(__name__)


def process_event(app: App, event_id: str) -> str | None:
    """Works a stored event off. Stripe away: later. A flaw: parked. Other failures: the claim counts.

    Answers its state, or deferred; None when it is finished, or somebody is at it.
    """
    event = app.ledger.claim_stripe_event(event_id)
    if event is None:
        return None
    with log_context(event=event_id, type=event["type"]):
        try:
            state, reason = judge(app, event)
        except (StripeUnavailable, StripeBusy) as error:
            stripe_notes.report(app.ledger, error)
            log.warning("event deferred", extra={"reason": error.code})
            app.ledger.defer_stripe_event(event_id, error.code)
            return "deferred"
        except DatabaseUnavailable as error:
            # The claim was not the event's fault, and may be the eighth.
            app.ledger.defer_stripe_event(event_id, error.code)
            raise
        except StripeRefused as error:
            state, reason = "parked", f"stripe_refused: {error.stripe_code}"
        except Refused as error:
            state, reason = "parked", error.code
        except Malformed as error:
            state, reason = "parked", f"malformed: {error}"
        log.log(
            logging.ERROR if state == "parked" else logging.INFO, "event %s", state, extra={"reason": reason}
        )
        app.ledger.finish_stripe_event(event_id, state, reason)
        return state


def judge(app: App, event: StripeEvent) -> End:
    """Reads the stored body, and hands its object to the type's handler."""
    body = read_body(bytes.fromhex(event["payload"]))
    if body.get("object") == "v2.core.event":
        return "parked", "thin_event"
    if body.get("account") or body.get("context"):
        return "ignored", "another_account"
    handler = HANDLERS.get(event["type"])
    if handler is None:
        return "ignored", "type_not_handled"
    data = body.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise Malformed("no object")
    checked_id(subject.get("id"))
    return handler(app, subject)


def read_body(raw: bytes) -> StripeData:
    """The event as a dict. Raises Malformed for what json reads but a database or a ledger must not see."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Malformed(type(error).__name__) from error
    if not isinstance(body, dict):
        raise Malformed("not an object")
    return body


def _checkout(app: App, subject: StripeData) -> End:
    payment, end = payment_of(app, subject)
    if payment is None:
        return end
    return _end(purchases.judge_session(app, payment, app.gateway.retrieve_session(subject["id"])))


def _payment_intent(app: App, subject: StripeData) -> End:
    payment, end = payment_of(app, subject)
    if payment is None:
        return end
    intent = app.gateway.retrieve_intent(subject["id"])
    if payment["topup_id"] is not None and intent.get("status") != "succeeded":
        # The charging actor alone decides what a decline or a cancellation means for the next charge.
        app.queue.hint(queue.CHARGE_TOPUP, payment["topup_id"], True)
        return "done", "left_to_the_top_up"
    # Whoever pays a purchase may try another card, until it is closed.
    return _end(purchases.judge_intent(app, payment, intent, retry_possible=payment["topup_id"] is None))


def _reversal(app: App, subject: StripeData) -> End:
    """A charge, refund or dispute."""
    intent_id = _intent_of(app, subject)
    return NOT_OURS if intent_id is None else _about(reversals.follow_intent(app, intent_id))


def _fraud_warning(app: App, subject: StripeData) -> End:
    intent_id = _intent_of(app, subject)
    if intent_id is None:
        return NOT_OURS
    return _about(reversals.warn(app, intent_id, subject["id"], subject.get("fraud_type")))


def _intent_of(app: App, subject: StripeData) -> str | None:
    """The PaymentIntent that an object is about, if need be asked for by its charge."""
    intent_id = id_of(subject.get("payment_intent"))
    charge_id = id_of(subject.get("charge"))
    if intent_id is None and charge_id is not None:
        intent_id = app.gateway.intent_of_charge(checked_id(charge_id))
    return None if intent_id is None else checked_id(intent_id)


def _about(outcome: str) -> End:
    if outcome in ("payment", "invoice"):
        return "done", None
    return NOT_OURS if outcome == "not_ours" else ("parked", outcome)


def _customer_deleted(app: App, subject: StripeData) -> End:
    if app.ledger.mark_customer_deleted(subject["id"]) is None:
        return NOT_OURS
    return "done", None


Handler = Callable[[App, StripeData], End]
HANDLERS: Final[dict[str, Handler]] = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.async_payment_failed": _checkout,
    "checkout.session.expired": _checkout,
    "payment_intent.succeeded": _payment_intent,
    "payment_intent.payment_failed": _payment_intent,
    "payment_intent.processing": _payment_intent,
    "payment_intent.canceled": _payment_intent,
    "payment_intent.requires_action": _payment_intent,
    "charge.refunded": _reversal,
    "charge.dispute.created": _reversal,
    "charge.dispute.updated": _reversal,
    "charge.dispute.funds_withdrawn": _reversal,
    "charge.dispute.funds_reinstated": _reversal,
    "charge.dispute.closed": _reversal,
    "refund.created": _reversal,
    "refund.updated": _reversal,
    "refund.failed": _reversal,
    "radar.early_fraud_warning.created": _fraud_warning,
    "customer.deleted": _customer_deleted,
    "customer.updated": cards.customer_updated,
    "payment_method.attached": cards.method_changed,
    "payment_method.detached": cards.method_changed,
    "payment_method.updated": cards.method_changed,
    "payment_method.automatically_updated": cards.method_changed,
    "setup_intent.succeeded": cards.setup_succeeded,
    "customer.subscription.created": subscriptions.subscription_changed,
    "customer.subscription.updated": subscriptions.subscription_changed,
    "customer.subscription.deleted": subscriptions.subscription_changed,
    "invoice.finalized": subscriptions.invoice_changed,
    "invoice.paid": subscriptions.invoice_changed,
    "invoice.payment_failed": subscriptions.invoice_changed,
    "invoice.voided": subscriptions.invoice_changed,
}


def _end(verdict: purchases.Verdict) -> End:
    outcome, reason = verdict
    return ("parked", reason) if outcome == "parked" else ("done", reason)


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(name)


def _unique(pairs: Iterable[tuple[str, Any]]) -> StripeData:
    """An object whose names stand once each and whose texts a database can hold."""
    items = list(pairs)
    found = dict(items)
    if len(found) != len(items):
        raise Malformed("repeated name")
    for value in (*found, *found.values()):
        _check_text(value)
    return found


def _check_text(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, str) and ("\x00" in value or not value.isascii()):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Malformed("lone surrogate") from error
        if "\x00" in value:
            raise Malformed("NUL")
