"""SetupIntents: save a card for later without charging it."""

from __future__ import annotations

from local.stripe import cards
from local.stripe.charging import error_fields
from local.stripe.engine import Call
from local.stripe.errors import card_error, missing_object, unexpected_state
from local.stripe.lists import page
from local.stripe.objects import ONLY_IN
from local.stripe.resources.customers import living
from local.stripe.resources.payment_methods import attach_to, check_usable, find, from_data
from local.stripe.routing import merge_metadata, route
from local.stripe.store import Obj, public

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


@route("post", "/v1/setup_intents")
def create(call: Call) -> Obj:
    intent = build(call, call.params.get("customer"), call.params.get("usage", "off_session"))
    _apply(call, intent)
    call.put(intent)
    call.emit("setup_intent.created", intent)
    return _confirm(call, intent) if call.params.get("confirm") else intent


def build(call: Call, customer: str | None, usage: str = "off_session") -> Obj:
    """A SetupIntent without payment method, not yet stored."""
    id = call.id("seti")
    return {
        "id": id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "cancellation_reason": None,
        "client_secret": f"{id}_secret_{call.engine.token(25)}",
        "created": call.now(),
        "customer": living(call, customer)["id"] if customer else None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card", "link", *sorted(ONLY_IN)],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": usage,
    }


def _apply(call: Call, intent: Obj) -> None:
    params = call.params
    merge_metadata(intent, params)
    if "description" in params:
        intent["description"] = params["description"]
    if "automatic_payment_methods" in params:
        intent["automatic_payment_methods"] = {
            "allow_redirects": "always",
            **params["automatic_payment_methods"],
        }
    pm = None
    if params.get("payment_method_data"):
        pm = call.put(from_data(call, params["payment_method_data"]))
    elif params.get("payment_method"):
        pm = find(call, params["payment_method"])
        check_usable(pm)
    if pm:
        intent.update(payment_method=pm["id"], status="requires_confirmation", next_action=None)


@route("get", "/v1/setup_intents/{intent}")
def retrieve(call: Call, intent: str) -> Obj:
    found = call.get("setup_intent", intent, "intent")
    secret = call.params.get("client_secret")
    if secret is not None and secret != found["client_secret"]:
        raise missing_object("setup_intent", intent, "intent")
    return found


@route("get", "/v1/setup_intents")
def index(call: Call) -> Obj:
    params = call.params
    where = {"customer": params.get("customer"), "payment_method": params.get("payment_method")}
    return page(call, "setup_intent", "/v1/setup_intents", **where)


@route("post", "/v1/setup_intents/{intent}")
def update(call: Call, intent: str) -> Obj:
    found = _open(call, intent, "update")
    if call.params.get("customer"):
        found["customer"] = living(call, call.params["customer"])["id"]
    _apply(call, found)
    return call.put(found)


@route("post", "/v1/setup_intents/{intent}/confirm")
def confirm(call: Call, intent: str) -> Obj:
    found = _open(call, intent, "confirm")
    _apply(call, found)
    return _confirm(call, found)


@route("post", "/v1/setup_intents/{intent}/cancel")
def cancel(call: Call, intent: str) -> Obj:
    return cancel_intent(call, _open(call, intent, "cancel"), call.params.get("cancellation_reason"))


def cancel_intent(call: Call, intent: Obj, reason: str | None = None) -> Obj:
    intent.update(status="canceled", cancellation_reason=reason, next_action=None)
    call.put(intent)
    call.emit("setup_intent.canceled", intent)
    return intent


def _open(call: Call, id: str, verb: str) -> Obj:
    intent = call.get("setup_intent", id, "intent")
    if intent["status"] not in _OPEN:
        raise unexpected_state(
            f"You cannot {verb} this SetupIntent because it has a status of {intent['status']}.",
            setup_intent=public(intent),
        )
    return intent


def _confirm(call: Call, intent: Obj) -> Obj:
    if intent["payment_method"] is None:
        raise unexpected_state(
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the "
            "SetupIntent with a payment method and then confirm it again.",
            setup_intent=public(intent),
        )
    pm = call.get("payment_method", intent["payment_method"], "payment_method", 400)
    return set_up(call, intent, pm, call.params.get("return_url"))


def set_up(call: Call, intent: Obj, pm: Obj, return_url: str | None, authenticated: bool = False) -> Obj:
    """Save the card, after authentication when it asks for that. Raises the 402 when the bank refuses."""
    behaviour = pm.get("_behaviour", cards.OK)
    if behaviour.get("sca") in ("setup", "always") and not authenticated:
        return _require_action(call, intent, pm, return_url)
    if behaviour.get("at_attach"):
        raise fail(call, intent, pm, behaviour)
    pm["_authenticated"] = True
    if intent["customer"] and pm["customer"] is None:
        attach_to(call, pm, intent["customer"])
    call.put(pm)
    intent.update(status="succeeded", payment_method=pm["id"], next_action=None, last_setup_error=None)
    call.put(intent)
    call.emit("setup_intent.succeeded", intent)
    return intent


def _require_action(call: Call, intent: Obj, pm: Obj, return_url: str | None) -> Obj:
    url = f"{call.engine.config.public_url}/authorize/{intent['id']}"
    action = (
        {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": return_url}}
        if return_url
        else {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
        }
    )
    call.put(pm)
    intent.update(status="requires_action", payment_method=pm["id"], next_action=action)
    call.put(intent)
    call.emit("setup_intent.requires_action", intent)
    return intent


def fail(call: Call, intent: Obj, pm: Obj, behaviour: cards.Behaviour) -> Exception:
    """The bank refused: the SetupIntent wants another card."""
    fields = error_fields(pm, behaviour)
    error = card_error(cards.message(fields["code"], fields.get("decline_code")), **fields)
    intent.update(status="requires_payment_method", payment_method=None, next_action=None)
    intent["last_setup_error"] = dict(error.error)
    call.put(intent)
    call.emit("setup_intent.setup_failed", intent)
    error.error["setup_intent"] = public(intent)
    return error
