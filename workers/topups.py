"""Automatic top-up: one row is one charge is one PaymentIntent, until an end that the row records.

Order: row committed, PaymentIntent created unconfirmed, its id committed, the account's limits checked once more under its
lock, confirmed off session. A crash before the last step has moved no money; after it the PaymentIntent is asked, never a
second one made ("a PaymentIntent ultimately creates at most one successful charge", stripe.PaymentIntent).

What comes next is decided by the table in workers/topup_steps.py. Here is only its driver: load the row, do one step, note
what was heard, look up the next one. Ages come from the row, by the database's clock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from dramatiq.middleware import CurrentMessage

from shared import keys, queue, stripe_notes
from shared.customers import forget
from shared.errors import Refused, StripeUnavailable
from shared.models import Topup, TopupState
from shared.observability import log_context
from shared.stripe_client import AuthenticationRequired, CardDeclined, StripeBusy, StripeRefused
from shared.stripe_facts import StripeData, facts_of_intent
from shared.stripe_timing import LEASE_SECONDS
from workers import purchases
from workers.app import App
from workers.topup_steps import AWAY_SECONDS, Call, Do, Heard, Row, Step, decide

log = logging.getLogger(__name__)

# Stripe may forget a key after 24 hours; then it executes again (docs.stripe.com/api/idempotent_requests).
KEY_AGE_MAX_SECONDS = 23 * 3600
# How old a top-up is before a replayed 5xx ends it: an outage must not open one after the other.
REPLAY_PATIENCE_SECONDS = 20
# How long the card holder may take to confirm.
ACTION_AGE_MAX_SECONDS = 24 * 3600
AUTHENTICATION = frozenset({"authentication_required", "authentication_not_handled"})
# More than the longest way through the table; whoever needs more goes on in the next run.
STEPS_MAX = 16


def check_threshold(app: App, account_id: str) -> None:
    """Opens a charge if the governor allows one, and makes it at once: debit to charge within a second."""
    opened = app.ledger.open_topup(account_id, keys.new_id("top"), keys.new_id("pay"))
    if opened["topup_id"] is None:
        log.info("no top-up", extra={"account": account_id, "reason": opened["reason"]})
    if opened["open_topup_id"] is not None:
        # Also one that was open before: this message may be that of a worker that died over it.
        charge_topup(app, opened["open_topup_id"])


def charge_topup(app: App, topup_id: str, force: bool = False) -> None:
    """Takes a top-up towards its end from wherever a former run left it. Repeating is safe at any point.

    force: Stripe has something new of it (a webhook), so it is taken up before it is due.
    """
    message = CurrentMessage.get_current_message()
    topup = app.ledger.claim_topup(
        topup_id, claimant=message.message_id if message is not None else None, force=force
    )
    if topup is None:
        return
    with log_context(topup=topup_id, account=topup["account_id"]):
        try:
            _Run(app, topup, sent_before=topup["confirming"]).go()
        except Refused as refusal:
            if refusal.code != "state_conflict":
                raise
            log.info("another worker has moved the top-up on", extra={"reason": refusal.detail})


@dataclass
class _Run:
    """One run of the driver over one top-up. `intent`: the PaymentIntent as Stripe last showed it."""

    app: App
    topup: Topup
    sent_before: bool
    intent: StripeData = field(default_factory=dict)
    refusal: StripeRefused | None = None

    def go(self) -> None:
        call, heard = Call.START, Heard.NOTHING
        for _ in range(STEPS_MAX):
            step = decide(self._row(), call, heard)
            after = self._do(step)
            if after is None:
                return
            call, heard = after
        log.error("a top-up does not come to an end", extra={"state": self.topup["state"]})
        self.app.ledger.release_topup(self.topup["id"], "no_end", AWAY_SECONDS)

    def _row(self) -> Row:
        topup, age = self.topup, self.topup["age_seconds"]
        return Row(
            state=topup["state"],
            has_intent=topup["stripe_payment_intent_id"] is not None,
            sent_before=self.sent_before,
            superseded=topup["reason"] == "superseded",
            patience_over=age >= REPLAY_PATIENCE_SECONDS,
            key_over=age > KEY_AGE_MAX_SECONDS,
            holder_over=age > ACTION_AGE_MAX_SECONDS,
        )

    def _do(self, step: Step) -> tuple[Call, Heard] | None:
        """Carries a step out; answers what was heard, or None when the run is over."""
        match step.do:
            case Do.KEEP:
                self.app.ledger.attach_topup_intent(self.topup["id"], self.intent["id"])
                self._load()
                return Call.START, Heard.NOTHING
            case Do.LOOK:
                return self._look()
            case Do.SETTLE:
                purchases.settle(self.app, self.topup["payment_id"], facts_of_intent(self.intent))
                return None
            case Do.RECORD:
                return self._record(step)
            case Do.EXPLAIN:
                return self._explain()
            case Do.WAIT:
                log.warning("the top-up waits", extra={"reason": step.reason})
                self.app.ledger.release_topup(self.topup["id"], str(step.reason), step.seconds)
                return None
            case Do.STOP:
                return None
        return self._ask(Call(step.do))

    def _look(self) -> tuple[Call, Heard]:
        for purchase in self.app.ledger.open_checkouts(self.topup["account_id"]):
            try:
                purchases.close_checkout(self.app, purchase)
            except StripeBusy as error:
                stripe_notes.report(self.app.ledger, error, self.topup["account_id"])
                return Call.LOOK, Heard.BUSY
            except StripeUnavailable:
                return Call.LOOK, Heard.LOST
            except StripeRefused as error:
                if error.stripe_code != "resource_missing":  # what Stripe does not know, nobody can pay
                    log.exception("a purchase cannot be closed", extra={"payment": purchase["id"]})
                    return Call.LOOK, Heard.LOST
        verdict = self.app.ledger.begin_topup_charge(self.topup["id"])
        self._load()
        if not verdict["go"]:
            log.info("top-up not needed or not allowed any more", extra={"reason": verdict["reason"]})
        return Call.LOOK, Heard.GO if verdict["go"] else Heard.NO

    def _ask(self, call: Call) -> tuple[Call, Heard]:
        """Calls Stripe."""
        try:
            self.intent = self._call(call)
        except CardDeclined as error:
            self.intent = {"last_payment_error": {
                "decline_code": error.decline_code, "advice_code": error.advice_code,
            }}  # fmt: skip
            return call, Heard.DECLINED
        except AuthenticationRequired:
            return call, Heard.HOLDER
        except StripeBusy as error:
            stripe_notes.report(self.app.ledger, error, self.topup["account_id"])
            return call, Heard.BUSY
        except StripeUnavailable as error:
            return call, Heard.REPLAYED if error.extra.get("replayed") else Heard.LOST
        except StripeRefused as error:
            self.refusal = error
            return call, _refusal(call, error)
        return call, _status(self.intent)

    def _call(self, call: Call) -> StripeData:
        gateway, intent_id = self.app.gateway, str(self.topup["stripe_payment_intent_id"])
        match call:
            case Call.CREATE:
                return gateway.create_topup_intent(self.topup)
            case Call.CONFIRM:
                return gateway.confirm_topup_intent(self.topup["id"], intent_id)
            case Call.CANCEL:
                return gateway.cancel_intent(intent_id)
        return gateway.retrieve_intent(intent_id)

    def _record(self, step: Step) -> tuple[Call, Heard] | None:
        state, reason = step.state, step.reason
        facts: dict[str, Any] = {"intent_status": self.intent.get("status")}
        if reason == "intent_missing":
            facts["intent_status"] = "missing"
        elif state == "canceled" and reason == "canceled_at_stripe":
            reason = self.intent.get("cancellation_reason") or reason
        if step.ends_as == "declined":
            failure = self.intent.get("last_payment_error") or {}
            facts["decline_code"] = failure.get("decline_code") or failure.get("code")
            facts["advice_code"] = failure.get("advice_code")
        if state == "unknown" and reason is None:
            reason = self.intent.get("status")
        return self._finish(state, facts | {"reason": reason, "ends_as": step.ends_as})

    def _explain(self) -> tuple[Call, Heard] | None:
        """Stripe will never make this charge: no customer or card any more, or it takes no such charge."""
        refusal, topup = self.refusal, self.topup
        code, param = (refusal.stripe_code, refusal.param) if refusal else (None, None)
        answer = refusal.detail if refusal else "declined"
        log.error("Stripe refused the top-up", extra={"code": code, "param": param, "answer": answer})
        if refusal is not None:
            stripe_notes.report(self.app.ledger, refusal, topup["account_id"])
        if refusal is not None and refusal.customer_missing:
            forget(self.app.ledger, topup["stripe_customer_id"])
            reason = "customer_missing"
        else:
            try:
                holder = self.app.gateway.holder_of(topup["payment_method"])
            except StripeBusy:
                return Call.EXPLAIN, Heard.BUSY
            except StripeUnavailable:
                return Call.EXPLAIN, Heard.LOST
            # Stripe has no code of its own for a detached card, so it is asked whose card it is.
            reason = "stripe_refused" if holder == topup["stripe_customer_id"] else "payment_method_unusable"
        state: TopupState = "canceling" if topup["confirming"] else "canceled"
        return self._finish(state, {"reason": reason, "ends_as": "canceled"})

    def _finish(self, state: TopupState | None, facts: dict[str, Any]) -> tuple[Call, Heard] | None:
        answer = self.app.ledger.finish_topup(
            self.topup["id"], str(state), facts | {"lease_seconds": LEASE_SECONDS}
        )
        log.info("top-up %s", state, extra={**facts, "paused": answer.get("paused_reason")})
        if answer.get("topup_due"):
            self.app.queue.hint(queue.CHECK_THRESHOLD, self.topup["account_id"])
        if state != "canceling":
            return None
        self._load()
        return Call.START, Heard.NOTHING

    def _load(self) -> None:
        found = self.app.ledger.find_topup(self.topup["id"])
        if found is not None:
            self.topup = found


def _refusal(call: Call, error: StripeRefused) -> Heard:
    if error.stripe_code == "payment_intent_unexpected_state":
        return Heard.UNEXPECTED
    # "No such payment_intent": its parameter is `intent` (stripe-recordings). Others miss a customer or a card.
    if (
        error.stripe_code == "resource_missing"
        and call is not Call.CREATE
        and error.param in ("intent", "id", None)
    ):
        return Heard.MISSING
    return Heard.REFUSED


def _status(intent: StripeData) -> Heard:
    status, failure = intent.get("status"), intent.get("last_payment_error") or {}
    if status == "requires_payment_method":
        if AUTHENTICATION & {failure.get("code"), failure.get("decline_code")}:
            return Heard.HOLDER
        return Heard.DECLINED if failure else Heard.NO_METHOD
    known = {"requires_confirmation", "succeeded", "canceled", "processing", "requires_action"}
    return Heard(status) if status in known else Heard.OTHER
