"""What happens when a card is asked to pay a PaymentIntent: succeeded, declined, authentication, processing.

Called by the PaymentIntent handlers, by Checkout and by subscriptions. The caller's transaction is
committed also when the StripeError of a decline is raised, because Stripe keeps the failed attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.stripe import cards, disputes, methods
from local.stripe.engine import Call
from local.stripe.errors import card_error
from local.stripe.objects import balance_transaction, charge_for
from local.stripe.resources.payment_methods import attach_to
from local.stripe.store import Obj, public

# Who follows the end of a payment: invoices do. Called with the PaymentIntent, after its own events.
FOLLOWERS: list[Callable[[Call, Obj], None]] = []


@dataclass(frozen=True)
class Attempt:
    """How a payment is confirmed."""

    off_session: bool = False
    error_on_requires_action: bool = False
    return_url: str | None = None
    use_stripe_sdk: bool = False
    authenticated: bool = False


def take_behaviour(call: Call, pm: Obj, customer: str | None) -> cards.Behaviour:
    """What this charge will do: as the control API said for the card or customer, else as the card does."""
    for target in (pm["id"], customer):
        if target is None:
            continue
        behaviour = call.engine.store.setting(f"behaviour:{target}")
        if not behaviour:
            continue
        remaining = behaviour.get("remaining")
        if remaining is not None:
            left = {**behaviour, "remaining": remaining - 1} if remaining > 1 else None
            call.engine.store.set_setting(f"behaviour:{target}", left)
        return dict(behaviour)
    return dict(pm.get("_behaviour", cards.OK))


def needs_authentication(behaviour: cards.Behaviour, pm: Obj, attempt: Attempt) -> bool:
    """Whether the cardholder must authenticate this payment."""
    if attempt.authenticated:
        return False
    sca = behaviour.get("sca")
    if behaviour["outcome"] == "authentication_required" or sca == "always":
        return True
    if sca == "setup":
        return not pm.get("_authenticated")
    return sca == "on_session" and not attempt.off_session


def pay(call: Call, pi: Obj, pm: Obj, attempt: Attempt) -> Obj:
    """Confirm a PaymentIntent with a card. Raises the 402 when the card refuses."""
    methods.check_currency(pm, pi["currency"])
    behaviour = take_behaviour(call, pm, pi["customer"])
    if needs_authentication(behaviour, pm, attempt):
        if attempt.off_session:
            raise fail(call, pi, pm, cards.decline("authentication_required", "authentication_required"))
        if attempt.error_on_requires_action:
            refusal = cards.decline("authentication_required", "authentication_not_handled")
            raise fail(call, pi, pm, refusal, charge=False)
        return _require_action(call, pi, pm, attempt)
    if behaviour["outcome"] == "decline":
        raise fail(call, pi, pm, behaviour)
    pi.update(payment_method=pm["id"], next_action=None, last_payment_error=None)
    if attempt.authenticated and (pi["setup_future_usage"] or pm["customer"]):
        pm["_authenticated"] = True
    if behaviour["outcome"] == "processing":
        return process(call, pi, pm, behaviour)
    return succeed(call, pi, pm, behaviour)


def process(call: Call, pi: Obj, pm: Obj, behaviour: cards.Behaviour) -> Obj:
    """The payment is under way; `settle` ends it: a bank debit by itself after some days."""
    if pm["type"] in methods.SETTLES:
        pi.update(_settles_at=call.now() + methods.SETTLES[pm["type"]], _settles=behaviour.get("settles"))
    if pi["customer"] and pi["setup_future_usage"] and pm["customer"] is None:
        attach_to(call, pm, pi["customer"])
    charge = call.put(charge_for(call, pi, pm, status="pending", paid=False, captured=True))
    pi.update(
        status="processing",
        latest_charge=charge["id"],
        processing={"type": "card"} if pm["type"] == "card" else None,
    )
    call.put(pm)
    call.put(pi)
    call.emit("charge.pending", charge)
    call.emit("payment_intent.processing", pi)
    return pi


def settle(call: Call, pi: Obj, failure: cards.Behaviour | None = None) -> Obj:
    """End a processing payment: succeeded, or failed for a reason."""
    pm = call.get("payment_method", pi["payment_method"])
    charge = call.get("charge", pi["latest_charge"])
    pi["processing"] = None
    if failure is None:
        return succeed(call, pi, pm, cards.OK, charge)
    fail(call, pi, pm, failure, existing=charge)
    return pi


def succeed(call: Call, pi: Obj, pm: Obj, behaviour: cards.Behaviour, charge: Obj | None = None) -> Obj:
    """The money moved."""
    charge = charge or charge_for(call, pi, pm)
    charge.update(status="succeeded", paid=True, captured=True, amount_captured=pi["amount"])
    charge["balance_transaction"] = balance_transaction(call, charge, pi["amount"], "charge")["id"]
    charge["receipt_url"] = f"{call.engine.config.public_url}/receipts/{charge['id']}"
    pi.update(
        status="succeeded",
        amount_received=pi["amount"],
        latest_charge=charge["id"],
        payment_method=pm["id"],
        next_action=None,
        last_payment_error=None,
    )
    if pi["customer"] and pi["setup_future_usage"] and pm["customer"] is None:
        attach_to(call, pm, pi["customer"])
    elif pm["customer"] is None:
        pm["_used"] = True
    call.put(pm)
    call.put(charge)
    call.put(pi)
    call.emit("charge.succeeded", charge)
    call.emit("payment_intent.succeeded", pi)
    for follow in FOLLOWERS:
        follow(call, pi)
    if behaviour.get("dispute"):
        disputes.open_dispute(call, charge, reason=behaviour["dispute"])
    return pi


def _require_action(call: Call, pi: Obj, pm: Obj, attempt: Attempt) -> Obj:
    url = f"{call.engine.config.public_url}/authorize/{pi['id']}"
    if attempt.return_url and not attempt.use_stripe_sdk:
        action: dict[str, Any] = {
            "type": "redirect_to_url",
            "redirect_to_url": {"url": url, "return_url": attempt.return_url},
        }
    else:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": url, "source": call.id("src")}
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    pi.update(status="requires_action", payment_method=pm["id"], next_action=action, last_payment_error=None)
    call.put(pm)
    call.put(pi)
    call.emit("payment_intent.requires_action", pi)
    return pi


def error_fields(pm: Obj, behaviour: cards.Behaviour) -> dict[str, Any]:
    """The fields that a decline's error and `last_payment_error` share."""
    fields = {
        "code": behaviour.get("code") or "card_declined",
        "decline_code": behaviour.get("decline_code"),
        "advice_code": behaviour.get("advice_code"),
        "network_decline_code": behaviour.get("network_decline_code"),
        "network_advice_code": behaviour.get("network_advice_code"),
        "payment_method": public(pm),
    }
    return {name: value for name, value in fields.items() if value is not None}


def fail(
    call: Call, pi: Obj, pm: Obj, behaviour: cards.Behaviour, charge: bool = True, existing: Obj | None = None
) -> Exception:
    """Record a refused payment; the 402 comes back for the caller to raise."""
    fields = error_fields(pm, behaviour)
    text = cards.message(fields["code"], fields.get("decline_code"))
    failed = existing
    if charge:
        failed = failed or charge_for(call, pi, pm)
        failed.update(
            status="failed", paid=False, captured=False, failure_code=fields["code"], failure_message=text
        )
        failed["outcome"] = _declined_outcome(fields)
        pi["latest_charge"] = fields["charge"] = failed["id"]
        call.put(failed)
    error = card_error(text, **fields)
    pi.update(status="requires_payment_method", payment_method=None, next_action=None, processing=None)
    pi["last_payment_error"] = dict(error.error)
    if pm["customer"] is None:
        pm["_used"] = True
    call.put(pm)
    call.put(pi)
    if failed:
        call.emit("charge.failed", failed)
    call.emit("payment_intent.payment_failed", pi)
    for follow in FOLLOWERS:
        follow(call, pi)
    error.error["payment_intent"] = public(pi)
    return error


def _declined_outcome(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "advice_code": fields.get("advice_code"),
        "network_advice_code": fields.get("network_advice_code"),
        "network_decline_code": fields.get("network_decline_code"),
        "network_status": "declined_by_network",
        "reason": fields.get("decline_code") or fields["code"],
        "risk_level": "normal",
        "risk_score": 7,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }
