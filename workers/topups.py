"""Automatic top-up: one row is one charge is one PaymentIntent, until an end that the row records.

Order: row committed, PaymentIntent created unconfirmed, its id committed, the account's limits checked once
more under its lock, confirmed off session. A crash before the last step has moved no money; after it the
PaymentIntent is asked, never a second one made ("a PaymentIntent ultimately creates at most one successful
charge", stripe.PaymentIntent). Ages come from the row, by the database's clock.
"""

from __future__ import annotations

import logging

from shared import keys, queue, stripe_notes
from shared.customers import forget
from shared.errors import StripeUnavailable
from shared.models import Topup
from shared.observability import log_context
from shared.stripe_client import (
    AuthenticationRequired,
    CardDeclined,
    StripeBusy,
    StripeRefused,
)
from shared.stripe_facts import StripeData, facts_of_intent
from workers import purchases
from workers.app import App

log = logging.getLogger(__name__)

BUSY_DELAY_SECONDS = 5
UNAVAILABLE_DELAY_SECONDS = 30
# Stripe may forget a key after 24 hours; then it executes anew (docs.stripe.com/api/idempotent_requests).
KEY_AGE_MAX_SECONDS = 23 * 3600
# How old a top-up is before a replayed 5xx ends it: an outage must not open one after the other.
REPLAY_PATIENCE_SECONDS = 20
# How long the card holder may take to confirm, and how often the PaymentIntent is asked meanwhile.
ACTION_AGE_MAX_SECONDS = 24 * 3600
ACTION_POLL_SECONDS = 120
AUTHENTICATION = frozenset({"authentication_required", "authentication_not_handled"})


def check_threshold(app: App, account_id: str) -> None:
    """Opens a charge if the governor allows one, and makes it at once: debit to charge within a second."""
    opened = app.ledger.open_topup(account_id, keys.new_id("top"), keys.new_id("pay"))
    if opened["topup_id"] is None:
        log.info("no top-up", extra={"account": account_id, "reason": opened["reason"]})
    if opened["open_topup_id"] is not None:
        # Also one that was open before: this message may be that of a worker that died over it.
        charge_topup(app, opened["open_topup_id"])


def charge_topup(app: App, topup_id: str) -> None:
    """Takes a top-up towards its end from wherever a former run left it. Repeating is safe at any point."""
    topup = app.ledger.claim_topup(topup_id)
    if topup is None:
        return
    with log_context(topup=topup_id, account=topup["account_id"]):
        try:
            _advance(app, topup)
        except StripeBusy as error:
            stripe_notes.report(app.ledger, error, topup["account_id"])
            log.warning("Stripe is busy, the top-up waits", extra={"reason": error.detail})
            app.ledger.release_topup(topup_id, error.code, BUSY_DELAY_SECONDS)
        except StripeUnavailable as error:
            log.warning("Stripe is away, the top-up waits")
            app.ledger.release_topup(topup_id, error.code, UNAVAILABLE_DELAY_SECONDS)


def _advance(app: App, topup: Topup) -> None:
    intent_id = topup["stripe_payment_intent_id"]
    if intent_id is not None and (topup["confirming"] or topup["state"] != "open"):
        _follow(app, topup, intent_id)
        return
    if intent_id is None:
        intent_id = _create(app, topup)
        if intent_id is None:
            return
    for purchase in app.ledger.open_checkouts(topup["account_id"]):
        purchases.close_checkout(app, purchase)
    _confirm(app, topup, intent_id)


def _create(app: App, topup: Topup) -> str | None:
    """Makes the PaymentIntent and keeps its id; None when the top-up has come to its end instead."""
    try:
        intent_id: str = app.gateway.create_topup_intent(topup)["id"]
    except StripeRefused as error:
        _refused(app, topup, error)
        return None
    except StripeUnavailable as error:
        if not error.extra.get("replayed") or topup["age_seconds"] < REPLAY_PATIENCE_SECONDS:
            raise
        # The saved 5xx would come back for a day; and an unconfirmed PaymentIntent moves no money.
        _finish(app, topup, "canceled", reason="stripe_unavailable")
        return None
    app.ledger.attach_topup_intent(topup["id"], intent_id)
    return intent_id


def _confirm(app: App, topup: Topup, intent_id: str) -> None:
    verdict = app.ledger.begin_topup_charge(topup["id"])
    if not verdict["go"]:
        log.info("top-up not needed or not allowed any more", extra={"reason": verdict["reason"]})
        _cancel_intent(app, topup, intent_id)
        return
    try:
        intent = app.gateway.confirm_topup_intent(topup["id"], intent_id)
    except CardDeclined as error:
        _finish(app, topup, "declined", decline_code=error.decline_code, advice_code=error.advice_code)
    except AuthenticationRequired:
        _await_person(app, topup)
    except StripeUnavailable as error:
        _lost(app, topup, intent_id, replayed=bool(error.extra.get("replayed")))
    except StripeRefused as error:
        _not_confirmed(app, topup, intent_id, error)
    else:
        _apply(app, topup, intent)


def _not_confirmed(app: App, topup: Topup, intent_id: str, error: StripeRefused) -> None:
    """Stripe refused to confirm: the PaymentIntent has moved on without us, or it never can be."""
    if error.stripe_code == "payment_intent_unexpected_state":
        _apply(app, topup, app.gateway.retrieve_intent(intent_id))
        return
    intent = _cancel_intent(app, topup, intent_id)
    if intent.get("status") == "canceled":
        _refused(app, topup, error)
    else:
        _apply(app, topup, intent)


def _lost(app: App, topup: Topup, intent_id: str, *, replayed: bool) -> None:
    """The confirmation's outcome is unknown.

    A 5xx that Stripe saved is replayed for a day, so the second time the PaymentIntent is canceled instead:
    that tells for certain whether money has moved.
    """
    if topup["confirming"] and replayed:
        _give_up(app, topup, intent_id, "stripe_unavailable")
    else:
        _finish(app, topup, "unknown", reason="stripe_unavailable")


def _follow(app: App, topup: Topup, intent_id: str) -> None:
    """Money may have moved: asks the PaymentIntent and does what it says."""
    try:
        intent = app.gateway.retrieve_intent(intent_id)
    except StripeRefused as error:
        _refused(app, topup, error)
        return
    if topup["state"] == "action_required" and intent.get("status") not in ("succeeded", "canceled"):
        if topup["reason"] == "superseded":
            _give_up(app, topup, intent_id, "superseded")
        elif topup["age_seconds"] > ACTION_AGE_MAX_SECONDS:
            _give_up(app, topup, intent_id, "authentication_expired")
        else:
            app.ledger.release_topup(topup["id"], "authentication_required", ACTION_POLL_SECONDS)
    elif intent.get("status") == "requires_confirmation":
        _confirm_again(app, topup, intent_id)
    else:
        _apply(app, topup, intent)


def _confirm_again(app: App, topup: Topup, intent_id: str) -> None:
    """The confirmation never reached Stripe: sent again under its key, if the last look still allows it."""
    if topup["age_seconds"] > KEY_AGE_MAX_SECONDS:
        _give_up(app, topup, intent_id, "too_old")
    else:
        _confirm(app, topup, intent_id)


def _apply(app: App, topup: Topup, intent: StripeData) -> None:
    """Records what a PaymentIntent that was confirmed says."""
    status = intent.get("status")
    failure = intent.get("last_payment_error") or {}
    if status == "succeeded":
        purchases.settle(app, topup["payment_id"], facts_of_intent(intent))
    elif status == "canceled":
        _finish(app, topup, "canceled", reason=intent.get("cancellation_reason") or "canceled_at_stripe")
    elif status == "requires_action" or AUTHENTICATION & {failure.get("code"), failure.get("decline_code")}:
        _await_person(app, topup)
    elif status == "requires_payment_method":
        code = failure.get("decline_code") or failure.get("code")
        _finish(app, topup, "declined", decline_code=code, advice_code=failure.get("advice_code"))
    elif status == "processing":
        _finish(app, topup, "processing", reason=None)
    else:
        _finish(app, topup, "unknown", reason=status)


def _give_up(app: App, topup: Topup, intent_id: str, reason: str) -> None:
    intent = _cancel_intent(app, topup, intent_id)
    if intent.get("status") == "canceled":
        _finish(app, topup, "canceled", reason=reason)
    else:
        _apply(app, topup, intent)


def _cancel_intent(app: App, topup: Topup, intent_id: str) -> StripeData:
    """Cancels at Stripe, and answers the PaymentIntent as it then stands: it may have succeeded meanwhile."""
    try:
        return app.gateway.cancel_intent(intent_id, topup_id=topup["id"])
    except StripeRefused:
        intent = app.gateway.retrieve_intent(intent_id)
    if intent.get("status") == "succeeded":
        purchases.settle(app, topup["payment_id"], facts_of_intent(intent))
    return intent


def _await_person(app: App, topup: Topup) -> None:
    """The card holder must confirm this PaymentIntent on session; it is asked now and then as well."""
    _finish(app, topup, "action_required", reason="authentication_required")
    app.ledger.release_topup(topup["id"], "authentication_required", ACTION_POLL_SECONDS)


def _refused(app: App, topup: Topup, error: StripeRefused) -> None:
    """Stripe will never make this charge: no customer or card any more, or it takes no such charge."""
    log.error(
        "Stripe refused the top-up",
        extra={"code": error.stripe_code, "param": error.param, "answer": error.detail},
    )
    stripe_notes.report(app.ledger, error, topup["account_id"])
    if error.customer_missing:
        forget(app.ledger, topup["stripe_customer_id"])
        _finish(app, topup, "canceled", reason="customer_missing")
    elif app.gateway.holder_of(topup["payment_method"]) != topup["stripe_customer_id"]:
        # Stripe has no code of its own for a detached card, so it is asked whose card it is.
        _finish(app, topup, "canceled", reason="payment_method_unusable")
    else:
        _finish(app, topup, "canceled", reason="stripe_refused")


def _finish(app: App, topup: Topup, state: str, **facts: str | None) -> None:
    answer = app.ledger.finish_topup(topup["id"], state, facts)
    log.info("top-up %s", state, extra={**facts, "paused": answer.get("paused_reason")})
    if answer.get("topup_due"):
        app.queue.hint(queue.CHECK_THRESHOLD, topup["account_id"])
