"""What Stripe says of a payment of ours, told to the ledger: for webhooks, the sweep's checks, top-ups."""

from __future__ import annotations

import logging
from typing import Literal

from shared import queue, stripe_notes
from shared.errors import StripeUnavailable
from shared.models import Payment, Settlement
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_facts import StripeData, facts_of_intent, facts_of_session
from workers.app import App

log = logging.getLogger(__name__)

Verdict = tuple[Literal["settled", "parked", "processing", "failed", "canceled", "open"], str | None]
"""What became of a payment, and why. open: it may still be paid."""


def settle(app: App, payment_id: str, facts: StripeData) -> Verdict:
    """Grants a payment that succeeded at Stripe, through the one grant path."""
    return follow_settlement(app, payment_id, app.ledger.settle_payment(payment_id, facts))


def follow_settlement(app: App, payment_id: str, settlement: Settlement) -> Verdict:
    """Says what became of a settlement, and has the next charge looked at when one is due."""
    if settlement["outcome"] == "parked":
        log.error("payment parked", extra={"payment": payment_id, "reason": settlement["reason"]})
        return "parked", settlement["reason"]
    if settlement["outcome"] == "granted":
        log.info("payment granted", extra={"payment": payment_id, "account": settlement.get("account_id")})
    if settlement["topup_due"]:
        app.queue.hint(queue.CHECK_THRESHOLD, settlement.get("account_id"))
    return "settled", None


def judge_session(app: App, payment: Payment, session: StripeData) -> Verdict:
    """Books what a retrieved Checkout Session says.

    Only payment_status paid grants: it may be complete and unpaid for days (docs.stripe.com/checkout). Or
    no_payment_required, which a promotion code of 100 % leads to: the package is granted for nothing, once.
    """
    intent = session.get("payment_intent")
    oddity = _oddity(payment, session)
    if oddity is not None:
        return "parked", oddity
    if session.get("payment_status") == "paid" and isinstance(intent, dict):
        return settle(app, payment["id"], facts_of_session(session))
    if session.get("payment_status") == "no_payment_required" and session.get("status") == "complete":
        return settle(app, payment["id"], facts_of_session(session))
    if session.get("status") == "expired":
        return _close(app, payment, "canceled", "checkout_expired")
    if session.get("status") == "complete" and isinstance(intent, dict):
        if intent.get("status") == "succeeded":
            return settle(app, payment["id"], facts_of_session(session))
        return judge_intent(app, payment, intent, retry_possible=False)
    return "open", None


def judge_intent(app: App, payment: Payment, intent: StripeData, *, retry_possible: bool) -> Verdict:
    """Books what a retrieved PaymentIntent says. retry_possible: the payer may still try another card."""
    status = intent.get("status")
    if status == "succeeded":
        return _settle_intent(app, payment, intent)
    if status == "processing":
        return _close(app, payment, "processing", None)
    if status == "canceled":
        return _close(app, payment, "canceled", intent.get("cancellation_reason"))
    if status == "requires_action" and payment["topup_id"] is None:
        app.ledger.await_card_holder(payment["id"])
        return "open", "action_required"
    error = intent.get("last_payment_error") or {}
    if status == "requires_payment_method" and error and not retry_possible:
        return _close(app, payment, "failed", error.get("decline_code") or error.get("code"))
    return "open", None


def _settle_intent(app: App, payment: Payment, intent: StripeData) -> Verdict:
    """By the PaymentIntent alone, unless promotion codes may have lowered it: what they took off, only its Session says."""
    if payment["allow_promotion_codes"] and intent.get("amount_received") != payment["amount"]:
        session = app.gateway.session_of_intent(intent["id"])
        if session is not None:
            return judge_session(app, payment, session)
    return settle(app, payment["id"], facts_of_intent(intent))


def _oddity(payment: Payment, session: StripeData) -> str | None:
    if payment["stripe_checkout_session_id"] not in (None, session["id"]):
        return "session_of_another_purchase"
    if session.get("payment_status") == "no_payment_required" and not payment["allow_promotion_codes"]:
        return "no_payment_required"
    if session.get("payment_status") == "paid" and not isinstance(session.get("payment_intent"), dict):
        return "paid_without_payment_intent"
    return None


def close_checkout(app: App, payment: Payment) -> Verdict:
    """Makes sure that nobody pays a purchase any more, or books what was paid meanwhile."""
    session_id, intent_id = payment["stripe_checkout_session_id"], payment["stripe_payment_intent_id"]
    if session_id is None and intent_id is not None:
        return _close_intent(app, payment, intent_id)
    if session_id is None:
        return "open", None
    try:
        session = app.gateway.expire_session(session_id)
    except StripeRefused:
        session = app.gateway.retrieve_session(session_id)
    return judge_session(app, payment, session)


def _close_intent(app: App, payment: Payment, intent_id: str) -> Verdict:
    try:
        intent = app.gateway.cancel_intent(intent_id)
    except StripeRefused:
        intent = app.gateway.retrieve_intent(intent_id)
    return judge_intent(app, payment, intent, retry_possible=True)


def check_payment(app: App, payment_id: str) -> None:
    """Asks Stripe what became of a purchase, in case no webhook tells; looks again later while it is open. At a parked
    payment it looks once, when an operator has asked for it.
    """
    payment = app.ledger.get_payment(payment_id)
    if payment is None or payment["status"] not in ("open", "processing", "parked"):
        return
    parked = payment["status"] == "parked"
    try:
        verdict, reason = _look_at_parked(app, payment) if parked else _look(app, payment)
    except (StripeUnavailable, StripeBusy) as error:
        stripe_notes.report(app.ledger, error, payment["account_id"])
        if parked:
            log.warning(
                "parked payment waits for Stripe", extra={"payment": payment_id, "reason": error.code}
            )
            return  # as due as before: an operator has asked, and the sweep asks on
        verdict, reason = "open", error.code
    except StripeRefused as error:
        if payment["topup_id"] is not None:  # its actor alone decides what that means
            app.queue.hint(queue.CHARGE_TOPUP, payment["topup_id"], True)
            app.ledger.postpone_payment_check(payment_id)
            return
        log.exception(
            "Stripe does not know a payment", extra={"payment": payment_id, "code": error.stripe_code}
        )
        verdict, reason = _close(app, payment, "canceled", error.stripe_code)
    log.info("payment checked", extra={"payment": payment_id, "verdict": verdict, "reason": reason})
    if parked or verdict in ("open", "processing", "parked"):
        app.ledger.postpone_payment_check(payment_id)


def look_again(app: App, payment: Payment) -> Verdict | None:
    """Asks Stripe what became of a payment that is not final; None when Stripe has nothing of it yet. Raises its errors."""
    if payment["status"] == "parked":
        return _look_at_parked(app, payment)
    if payment["status"] not in ("open", "processing"):
        return None
    if payment["stripe_checkout_session_id"] is None and payment["stripe_payment_intent_id"] is None:
        return None
    return _look(app, payment)


def _look(app: App, payment: Payment) -> Verdict:
    if payment["topup_id"] is not None:
        return _look_at_topup(app, payment, payment["topup_id"])
    if payment["stripe_checkout_session_id"] is not None:
        return judge_session(
            app, payment, app.gateway.retrieve_session(payment["stripe_checkout_session_id"])
        )
    if payment["stripe_payment_intent_id"] is not None:
        if payment["overdue"]:
            return close_checkout(app, payment)
        intent = app.gateway.retrieve_intent(payment["stripe_payment_intent_id"])
        return judge_intent(app, payment, intent, retry_possible=True)
    return _close(app, payment, "canceled", "never_reached_stripe")


def _look_at_parked(app: App, payment: Payment) -> Verdict:
    """Grants it if what was paid fits the row meanwhile. Nothing is canceled at Stripe: an operator decides what happens."""
    if payment["stripe_checkout_session_id"] is not None:
        return judge_session(
            app, payment, app.gateway.retrieve_session(payment["stripe_checkout_session_id"])
        )
    intent_id = payment["stripe_payment_intent_id"] or (payment["parked_facts"] or {}).get("payment_intent")
    if intent_id is None:
        return "parked", payment["reason"]
    return judge_intent(app, payment, app.gateway.retrieve_intent(intent_id), retry_possible=True)


def _look_at_topup(app: App, payment: Payment, topup_id: str) -> Verdict:
    """A person may just have confirmed it; what else a charge needs, its own actor does."""
    if payment["stripe_payment_intent_id"] is not None:
        intent = app.gateway.retrieve_intent(payment["stripe_payment_intent_id"])
        if intent.get("status") == "succeeded":
            return settle(app, payment["id"], facts_of_intent(intent))
    app.queue.hint(queue.CHARGE_TOPUP, topup_id, True)
    return "open", "topup"


def _close(
    app: App, payment: Payment, status: Literal["processing", "failed", "canceled"], reason: str | None
) -> Verdict:
    app.ledger.fail_payment(payment["id"], status, reason)
    return status, reason
