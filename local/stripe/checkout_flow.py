"""What a customer does on a Checkout page. Used by the page and by the control API."""

from __future__ import annotations

from typing import Any

from local.stripe import billing, cards, charging, checkout_discounts
from local.stripe.addresses import check_address
from local.stripe.engine import Call
from local.stripe.errors import StripeError, invalid
from local.stripe.objects import payment_intent
from local.stripe.resources import checkout, setup_intents
from local.stripe.resources.customers import build as build_customer
from local.stripe.resources.payment_methods import from_data
from local.stripe.routing import merge_metadata
from local.stripe.store import Obj, public


def pay(
    call: Call,
    id: str,
    method: dict[str, Any],
    email: str | None,
    name: str | None,
    outcome: str | None = None,
    code: str | None = None,
) -> Obj:
    """Submit the form. The session comes back complete, or still open when its intent requires action.

    `method` is `type` and its parameters, as for a PaymentMethod; `code` a promotion code to enter first.
    `outcome` overrides what the card does: `ok`, `async`, `authentication_required`, or a decline code.
    Raises the StripeError of a decline; the session stays open then.
    """
    session = _open(call, id)
    email = email or known_email(session)
    if not email:
        raise invalid("Enter your email.", "email")
    check_address(email)
    if code:
        checkout_discounts.enter(call, session, code)
    if session["mode"] == "payment" and not session["amount_total"]:
        session["customer_details"] = checkout.details(email, name)
        _ensure_customer(call, session, email, name)
        return _begin_free(call, session, None)
    pm = from_data(call, {**method, "billing_details": {"email": email, "name": name}})
    if outcome:
        pm["_behaviour"] = _forced(outcome)
    call.put(pm)
    session["customer_details"] = checkout.details(email, name)
    _ensure_customer(call, session, email, name)
    if session["mode"] == "setup":
        return _set_up(call, session, pm)
    pi = _intent(call, session)
    if pi is None:
        return _begin_free(call, session, pm)
    if pi["setup_future_usage"]:
        pm["allow_redisplay"] = "limited"
    call.put(session)
    approved = pm["type"] == "cashapp"  # on the phone, before the page goes on
    attempt = charging.Attempt(return_url=session["success_url"], authenticated=approved)
    charging.pay(call, pi, pm, attempt)
    return finish(call, session, pi)


def known_email(session: Obj) -> str | None:
    """The email that the page shows before anybody types one."""
    details: dict[str, Any] = session["customer_details"] or {}
    email: str | None = details.get("email") or session["customer_email"]
    return email


def _forced(outcome: str) -> cards.Behaviour:
    if outcome == "ok":
        return cards.OK
    if outcome == "async":
        return {"outcome": "processing"}
    if outcome == "authentication_required":
        return {"outcome": "ok", "sca": "always"}
    return cards.decline("card_declined", outcome)


def _open(call: Call, id: str) -> Obj:
    session = checkout.load(call, id)
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']} and can no longer be paid.", "session")
    return session


def _ensure_customer(call: Call, session: Obj, email: str, name: str | None) -> None:
    wanted = session["mode"] == "subscription" or session["customer_creation"] == "always"
    if session["customer"] is None and wanted:
        made = build_customer(Call(call.engine, None, None, {"email": email, "name": name}))
        call.put(made)
        call.emit("customer.created", made)
        session["customer"] = made["id"]


def _begin_free(call: Call, session: Obj, pm: Obj | None) -> Obj:
    """Nothing is due now: a trial, or a coupon for everything. A subscription keeps the card; a purchase asks for none."""
    session.update(status="complete", url=None, payment_status="no_payment_required")
    if pm is not None:
        billing.begin(call, session, None, pm["id"])
    else:
        checkout_discounts.redeem(call, session)
    call.put(session)
    call.emit("checkout.session.completed", session)
    return session


def _intent(call: Call, session: Obj) -> Obj | None:
    """The session's PaymentIntent; Stripe makes it when the customer first submits the form. None: nothing is due."""
    if session["mode"] == "subscription":
        return billing.first_payment(call, session)
    if not session["amount_total"]:
        return None
    if session["payment_intent"]:
        pi = call.get("payment_intent", session["payment_intent"])
        if pi["status"] in ("canceled", "succeeded", "processing"):
            raise StripeError(
                400,
                f"The PaymentIntent of this Checkout Session has a status of {pi['status']}.",
                code="payment_intent_unexpected_state",
                payment_intent=public(pi),
            )
        pi["amount"] = session["amount_total"]
        return pi
    data = session["_intent_data"]
    pi = payment_intent(call, session["amount_total"], session["currency"])
    copied = (
        "description",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
        "transfer_group",
    )
    pi.update({field: data[field] for field in copied if field in data})
    merge_metadata(pi, data)
    pi.update(customer=session["customer"], _session=session["id"])
    call.put(pi)
    call.emit("payment_intent.created", pi)
    session["payment_intent"] = pi["id"]
    return pi


def _set_up(call: Call, session: Obj, pm: Obj) -> Obj:
    intent = call.get("setup_intent", session["setup_intent"])
    if intent["status"] in ("canceled", "succeeded"):
        raise invalid(f"The SetupIntent of this Checkout Session has a status of {intent['status']}.")
    intent["customer"] = session["customer"]
    call.put(session)
    approved = pm["type"] == "cashapp"
    return finish(call, session, setup_intents.set_up(call, intent, pm, session["success_url"], approved))


def finish(call: Call, session: Obj, intent: Obj) -> Obj:
    """Complete the session if its intent got far enough."""
    if intent["status"] not in ("succeeded", "processing"):
        return call.put(session)
    session.update(status="complete", url=None)
    if session["mode"] != "setup":
        session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
    if session["mode"] == "subscription":
        billing.begin(call, session, intent, intent["payment_method"])
    elif session["mode"] == "payment":
        checkout_discounts.redeem(call, session)
    call.put(session)
    call.emit("checkout.session.completed", session)
    return session


def authenticate(call: Call, id: str, succeed: bool) -> Obj:
    """Answer the 3-D Secure question of an intent and complete its session. Raises no 402."""
    kind = "setup_intent" if id.startswith("seti_") else "payment_intent"
    intent = call.get(kind, id)
    if intent["status"] != "requires_action":
        raise invalid(f"{id} has a status of {intent['status']}; there is nothing to authenticate.")
    pm = call.get("payment_method", intent["payment_method"])
    refusal = cards.decline(f"{kind}_authentication_failure", None)
    try:
        if kind == "setup_intent":
            if not succeed:
                raise setup_intents.fail(call, intent, pm, refusal)
            intent = setup_intents.set_up(call, intent, pm, None, authenticated=True)
        elif succeed:
            intent = charging.pay(call, intent, pm, charging.Attempt(authenticated=True))
        else:
            charging.fail(call, intent, pm, refusal, charge=False)
    except StripeError as error:
        if not error.declined:
            raise
        intent = call.get(kind, id)
    if intent.get("_session"):
        session = call.get("checkout.session", intent["_session"])
        if session["status"] == "open":
            finish(call, session, intent)
    return intent


def settle(call: Call, id: str, failure: cards.Behaviour | None) -> Obj:
    """End a processing payment and tell the session about it."""
    pi = call.get("payment_intent", id)
    if pi["status"] != "processing":
        raise invalid(f"{id} has a status of {pi['status']}, not processing.")
    charging.settle(call, pi, failure)
    if pi.get("_session"):
        session = call.get("checkout.session", pi["_session"])
        session["payment_status"] = "unpaid" if failure else "paid"
        call.put(session)
        call.emit(f"checkout.session.async_payment_{'failed' if failure else 'succeeded'}", session)
    return pi


def settle_due(call: Call) -> int:
    """End the bank debits whose days are over; how many."""
    where = "json_extract(body, '$.status') = 'processing' and json_extract(body, '$._settles_at') <= ?"
    found = call.engine.store.select("payment_intent", where, (call.now(),), "asc")
    for pi in found:
        code = pi["_settles"]
        settle(call, pi["id"], cards.decline(code) if code else None)
    return len(found)
