"""Stripe's events: each a hint to look at an object, read from Stripe again before credits move.

Events come in any order, more than once, and two of them announce one payment; so nothing here depends on
which one comes first. HANDLERS lists the types that Refill acts on; every other type is ignored.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NoReturn

from shared import queue
from shared.errors import Refused, StripeUnavailable
from shared.models import Payment, StripeEvent
from shared.observability import log_context
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_facts import StripeData, id_of
from workers import cards, purchases, reversals, subscriptions
from workers.app import App

log = logging.getLogger(__name__)

End = tuple[Literal["done", "ignored", "parked"], str | None]
"""How an event ends, and why."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


class Malformed(Exception):
    """The stored body is not an event that can be worked on; the text says why."""


def process_event(app: App, event_id: str) -> None:
    """Works a stored event off. Stripe away: later. A flaw: parked. Other failures: the claim counts."""
    event = app.ledger.claim_stripe_event(event_id)
    if event is None:
        return
    with log_context(event=event_id, type=event["type"]):
        try:
            state, reason = judge(app, event)
        except (StripeUnavailable, StripeBusy) as error:
            log.warning("event deferred", extra={"reason": error.code})
            app.ledger.defer_stripe_event(event_id, error.code)
            return
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
    _checked_id(subject.get("id"))
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
    payment, end = _payment_of(app, subject)
    if payment is None:
        return end
    return _end(purchases.judge_session(app, payment, app.gateway.retrieve_session(subject["id"])))


def _payment_intent(app: App, subject: StripeData) -> End:
    payment, end = _payment_of(app, subject)
    if payment is None:
        return end
    intent = app.gateway.retrieve_intent(subject["id"])
    if payment["topup_id"] is not None and intent.get("status") != "succeeded":
        # The charging actor alone decides what a decline or a cancellation means for the next charge.
        app.queue.hint(queue.CHARGE_TOPUP, payment["topup_id"])
        return "done", "left_to_the_top_up"
    # Whoever pays a purchase may try another card, until it is closed.
    return _end(purchases.judge_intent(app, payment, intent, retry_possible=payment["topup_id"] is None))


def _reversal(app: App, subject: StripeData) -> End:
    """A charge, refund or dispute."""
    payment, intent, end = _reversed_payment(app, subject)
    if payment is None or intent is None:
        return end
    reversals.follow(app, payment, intent)
    return "done", None


def _fraud_warning(app: App, subject: StripeData) -> End:
    payment, _intent, end = _reversed_payment(app, subject)
    if payment is None:
        return end
    app.ledger.warn_of_fraud(subject["id"], payment["id"], subject.get("fraud_type"))
    return "done", None


def _reversed_payment(app: App, subject: StripeData) -> tuple[Payment | None, str | None, End]:
    """The payment that an object is about, found through its PaymentIntent, and granted before anything is taken back."""
    intent_id = id_of(subject.get("payment_intent"))
    charge_id = id_of(subject.get("charge"))
    if intent_id is None and charge_id is not None:
        intent_id = app.gateway.intent_of_charge(charge_id)
    if intent_id is None:
        return None, None, ("ignored", "not_ours")
    payment = app.ledger.find_payment(_checked_id(intent_id))
    if payment is None or payment["status"] in ("open", "processing"):
        intent = app.gateway.retrieve_intent(intent_id)
        payment, end = _payment_of(app, intent)
        if payment is None:
            return None, None, end
        purchases.judge_intent(app, payment, intent, retry_possible=True)
    return payment, intent_id, ("done", None)


def _customer_deleted(app: App, subject: StripeData) -> End:
    if app.ledger.mark_customer_deleted(subject["id"]) is None:
        return "ignored", "not_ours"
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


def _payment_of(app: App, subject: StripeData) -> tuple[Payment | None, End]:
    """The payments row of a Session or PaymentIntent; or None, and how the event then ends.

    Stripe's objects without our metadata belong to something else, a subscription or the Dashboard.
    """
    metadata = subject.get("metadata")
    named = metadata.get("refill_payment_id") if isinstance(metadata, dict) else None
    found = app.ledger.find_payment(subject["id"])
    if named is None or not isinstance(metadata, dict):
        return found, ("ignored", "not_ours")
    payment = app.ledger.get_payment(_checked_id(named))
    if payment is None:
        return None, ("parked", "unknown_payment")
    if metadata.get("refill_account_id") != payment["account_id"]:
        return None, ("parked", "account_mismatch")
    if found is not None and found["id"] != payment["id"]:
        return None, ("parked", "payment_mismatch")
    return payment, ("done", None)


def _end(verdict: purchases.Verdict) -> End:
    outcome, reason = verdict
    return ("parked", reason) if outcome == "parked" else ("done", reason)


def _checked_id(value: Any) -> str:
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise Malformed("no usable id")
    return value


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
