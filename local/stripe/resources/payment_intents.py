"""PaymentIntents and their state machine."""

from __future__ import annotations

import copy
from typing import Any

from local.stripe import charging
from local.stripe.addresses import check_address
from local.stripe.currencies import check_amount
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_object, unexpected_state
from local.stripe.lists import page
from local.stripe.objects import payment_intent
from local.stripe.resources.customers import living
from local.stripe.resources.payment_methods import check_usable, find, from_data
from local.stripe.routing import merge_metadata, route
from local.stripe.store import Obj, public

_PLAIN = (
    "description",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "transfer_group",
)
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = "requires_payment_method, requires_capture, requires_confirmation, requires_action"


@route("post", "/v1/payment_intents")
def create(call: Call) -> Obj:
    params = call.params
    if params.get("off_session") and not params.get("confirm"):
        raise invalid("You can only set `off_session` when `confirm` is true.", "off_session")
    if params.get("error_on_requires_action") and not params.get("confirm"):
        raise invalid(
            "You can only set `error_on_requires_action` when `confirm` is true.", "error_on_requires_action"
        )
    currency = params["currency"].lower()
    check_amount(params["amount"], currency)
    pi = payment_intent(call, params["amount"], currency)
    if params.get("customer"):
        pi["customer"] = living(call, params["customer"])["id"]
    _apply(call, pi)
    call.put(pi)
    call.emit("payment_intent.created", pi)
    return _confirm(call, pi) if params.get("confirm") else pi


def _apply(call: Call, pi: Obj) -> None:
    params = call.params
    check_address(params.get("receipt_email"), "receipt_email")
    pi.update({name: params[name] for name in _PLAIN if name in params})
    if params.get("shipping"):
        pi["shipping"] = _shipping(params["shipping"])
    if params.get("capture_method") == "manual":
        raise invalid("The local Stripe has no manual capture.", "capture_method")
    merge_metadata(pi, params)
    if "automatic_payment_methods" in params:
        given = params["automatic_payment_methods"]
        pi["automatic_payment_methods"] = {"allow_redirects": "always", **given}
    if "allowed_payment_method_types" in params:
        pi["allowed_payment_method_types"] = params["allowed_payment_method_types"]
    pm = _payment_method(call, pi)
    if pm is not None:
        pi.update(payment_method=pm["id"], status="requires_confirmation", next_action=None)


def _shipping(given: dict[str, Any]) -> dict[str, Any]:
    """All fields of `shipping`, null where nothing was given."""
    parts = ("city", "country", "line1", "line2", "postal_code", "state")
    address = {**dict.fromkeys(parts), **(given.get("address") or {})}
    return {"carrier": None, "phone": None, "tracking_number": None, **given, "address": address}


def _payment_method(call: Call, pi: Obj) -> Obj | None:
    """The card that the call names, checked against the PaymentIntent's customer."""
    if call.params.get("payment_method_data"):
        return call.put(from_data(call, call.params["payment_method_data"]))
    id = call.params.get("payment_method")
    if not id:
        return None
    pm = find(call, id)
    check_usable(pm)
    if pm["customer"] is None or pm["customer"] == pi["customer"]:
        return pm
    if pi["customer"] is None:
        raise invalid(
            f"The PaymentMethod {id} belongs to the Customer {pm['customer']}. Please include the Customer "
            "in the `customer` parameter on the PaymentIntent.",
            "payment_method",
        )
    raise invalid(
        f"The PaymentMethod {id} does not belong to the Customer {pi['customer']} you supplied. Please use "
        "this PaymentMethod with the Customer that it belongs to instead.",
        "payment_method",
    )


@route("get", "/v1/payment_intents/{intent}")
def retrieve(call: Call, intent: str) -> Obj:
    pi = call.get("payment_intent", intent, "intent")
    secret = call.params.get("client_secret")
    if secret is not None and secret != pi["client_secret"]:
        raise missing_object("payment_intent", intent, "intent")
    return pi


@route("post", "/v1/payment_intents/{intent}")
def update(call: Call, intent: str) -> Obj:
    pi = call.get("payment_intent", intent, "intent")
    before = copy.deepcopy(pi)
    params = call.params
    if pi["status"] not in _OPEN and set(params) - {"metadata", "description", "expand", "receipt_email"}:
        raise unexpected_state(
            f"This PaymentIntent could not be updated because it has a status of {pi['status']}. You may "
            "only update a PaymentIntent with one of the following statuses: requires_payment_method, "
            "requires_confirmation, requires_action.",
            payment_intent=public(pi),
        )
    if "amount" in params or "currency" in params:
        pi["amount"] = params.get("amount", pi["amount"])
        pi["currency"] = str(params.get("currency", pi["currency"])).lower()
        check_amount(pi["amount"], pi["currency"])
    if params.get("customer"):
        pi["customer"] = living(call, params["customer"])["id"]
    _apply(call, pi)
    return call.put(pi) if pi != before else pi


@route("post", "/v1/payment_intents/{intent}/confirm")
def confirm(call: Call, intent: str) -> Obj:
    pi = call.get("payment_intent", intent, "intent")
    if pi["status"] not in _OPEN:
        reason = {
            "succeeded": "because it has already succeeded after being previously confirmed",
            "canceled": "because it has been canceled",
        }.get(pi["status"], f"because it has a status of {pi['status']}")
        raise unexpected_state(f"You cannot confirm this PaymentIntent {reason}.", payment_intent=public(pi))
    call.params.pop("capture_method", None)
    _apply(call, pi)
    return _confirm(call, pi)


def _confirm(call: Call, pi: Obj) -> Obj:
    params = call.params
    if pi["payment_method"] is None:
        raise unexpected_state(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "
            "update the PaymentIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
            payment_intent=public(pi),
        )
    pm = call.get("payment_method", pi["payment_method"], "payment_method", 400)
    check_usable(pm)
    off_session = bool(params.get("off_session"))
    _check_return_url(pi, params, off_session)
    attempt = charging.Attempt(
        off_session=off_session,
        error_on_requires_action=bool(params.get("error_on_requires_action")),
        return_url=params.get("return_url"),
        use_stripe_sdk=bool(params.get("use_stripe_sdk")),
    )
    return charging.pay(call, pi, pm, attempt)


def _check_return_url(pi: Obj, params: dict[str, Any], off_session: bool) -> None:
    automatic = pi["automatic_payment_methods"] or {}
    redirects = automatic.get("enabled") and automatic.get("allow_redirects") == "always"
    listed = "allowed_payment_method_types" in pi
    returns = params.get("return_url") or params.get("use_stripe_sdk")
    if redirects and not (listed or returns or off_session):
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because "
            "some of these payment methods might redirect your customer off of your page, you must provide "
            "a `return_url`. If you don't want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and "
            "Payment Intents.",
            "return_url",
            payment_intent=public(pi),
        )


@route("post", "/v1/payment_intents/{intent}/cancel")
def cancel(call: Call, intent: str) -> Obj:
    pi = call.get("payment_intent", intent, "intent")
    if pi.get("_session"):
        raise unexpected_state(
            "You cannot cancel a PaymentIntent that was created by a Checkout Session. Expire the Checkout "
            f"Session {pi['_session']} instead.",
            payment_intent=public(pi),
        )
    return cancel_intent(call, pi, call.params.get("cancellation_reason"))


def cancel_intent(call: Call, pi: Obj, reason: str | None = None) -> Obj:
    """Cancel a PaymentIntent whose status allows it."""
    if pi["status"] not in _OPEN:
        raise unexpected_state(
            f"You cannot cancel this PaymentIntent because it has a status of {pi['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be canceled: {_CANCELABLE}.",
            payment_intent=public(pi),
        )
    pi.update(status="canceled", canceled_at=call.now(), cancellation_reason=reason, next_action=None)
    call.put(pi)
    call.emit("payment_intent.canceled", pi)
    return pi


@route("get", "/v1/payment_intents")
def index(call: Call) -> Obj:
    return page(call, "payment_intent", "/v1/payment_intents", customer=call.params.get("customer"))
