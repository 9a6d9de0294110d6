"""Checkout Sessions as the API sees them; `checkout_flow.py` is what the customer does with one."""

from __future__ import annotations

from typing import Any

from local.stripe import checkout_discounts, currencies
from local.stripe.addresses import check_address
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_param
from local.stripe.lists import page, whole
from local.stripe.objects import offered
from local.stripe.resources import payment_intents, setup_intents
from local.stripe.resources.catalogue import price
from local.stripe.resources.customers import living
from local.stripe.routing import merge_metadata, route
from local.stripe.store import Obj, public

_HALF_HOUR, _DAY = 1800, 86400
_ECHOED = (
    "allow_promotion_codes",
    "client_reference_id",
    "customer_email",
    "cancel_url",
    "success_url",
    "return_url",
    "locale",
    "submit_type",
)

_NULLS = (
    "after_expiration allow_promotion_codes amount_subtotal amount_total billing_address_collection "
    "cancel_url client_reference_id client_secret collected_information consent consent_collection "
    "currency currency_conversion customer customer_account customer_creation customer_details "
    "customer_email invoice invoice_creation locale origin_context payment_intent payment_link "
    "payment_method_configuration_details permissions recovered_from saved_payment_method_options "
    "setup_intent shipping_address_collection shipping_cost submit_type subscription success_url "
    "total_details wallet_options"
)


@route("post", "/v1/checkout/sessions")
def create(call: Call) -> Obj:
    params = call.params
    mode = params.get("mode")
    if mode is None:
        raise missing_param("mode")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid("The local Stripe only has hosted Checkout pages.", "ui_mode")
    if not params.get("success_url"):
        raise missing_param("success_url")
    if params.get("customer") and params.get("customer_email"):
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer")
    check_address(params.get("customer_email"), "customer_email")
    session = _blank(call, mode)
    session.update({name: params[name] for name in _ECHOED if name in params})
    merge_metadata(session, params)
    session["expires_at"] = _expiry(call)
    if params.get("customer"):
        customer = living(call, params["customer"])
        session["customer"] = customer["id"]
        session["customer_details"] = {
            **details(customer["email"], None),
            "tax_exempt": None if mode == "setup" else "none",
            "tax_ids": None,
        }
    elif mode == "payment":
        session["customer_creation"] = params.get("customer_creation", "if_required")
    _fill_mode(call, session, mode)
    return call.put(session)


def _expiry(call: Call) -> int:
    given = call.params.get("expires_at")
    if given is None:
        return call.now() + _DAY
    left = given - call.now()
    if not _HALF_HOUR - 60 <= left <= _DAY + 60:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout "
            "Session creation.",
            "expires_at",
        )
    return int(given)


def _fill_mode(call: Call, session: Obj, mode: str) -> None:
    params = call.params
    if mode == "setup":
        intent = setup_intents.build(call, session["customer"])
        merge_metadata(intent, params.get("setup_intent_data") or {})
        intent["_session"] = session["id"]
        call.put(intent)
        call.emit("setup_intent.created", intent)
        session.update(
            setup_intent=intent["id"], payment_status="no_payment_required", currency=params.get("currency")
        )
        return
    if not params.get("line_items"):
        raise missing_param("line_items")
    items = [_line_item(call, item, place, mode) for place, item in enumerate(params["line_items"])]
    total = sum(item["amount_total"] for item in items)
    currency = items[0]["currency"]
    if mode == "payment" and total:
        _check_total(total, currency)
    session.update(amount_subtotal=total, amount_total=total, currency=currency, payment_status="unpaid")
    session["payment_method_types"] = offered(currency)
    session["total_details"] = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
    session["_items"] = items
    session["_intent_data"] = params.get("payment_intent_data") or {}
    session["_subscription_data"] = data = params.get("subscription_data") or {}
    if mode == "subscription" and (data.get("trial_period_days") or data.get("trial_end")):
        session.update(amount_total=0, _trial=True)
    checkout_discounts.from_params(call, session)
    if not session["amount_total"] and mode == "payment":
        session["payment_status"] = "no_payment_required"


def _check_total(total: int, currency: str) -> None:
    """As for a charge, in the words of Checkout."""
    small = currencies.too_small(total, currency)
    if small:
        text = small.replace("Amount must", "The Checkout Session's total amount must", 1)
        raise invalid(text, code="amount_too_small")
    currencies.check_amount(total, currency)


def _line_item(call: Call, data: dict[str, Any], place: int, mode: str) -> Obj:
    param = f"line_items[{place}]"
    if data.get("price"):
        unit = call.get("price", data["price"], f"{param}[price]", 400)
        if not unit["active"]:
            text = "The price specified is inactive. This field only accepts active prices."
            raise invalid(text, f"{param}[price]")
    elif data.get("price_data"):
        unit = price(call, data["price_data"], inline=True)
    else:
        raise missing_param(f"{param}[price]")
    if unit["type"] == "recurring" and mode == "payment":
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` "
            "mode or use only one-time prices.",
            param,
        )
    quantity = data.get("quantity")
    if quantity is None:
        raise invalid("Quantity is required. Add `quantity` to `" + param + "`", f"{param}[quantity]")
    if quantity < 1:
        raise invalid(
            "This value must be greater than or equal to 1.",
            f"{param}[quantity]",
            "parameter_invalid_integer",
        )
    amount = unit["unit_amount"] * quantity
    product = call.get("product", unit["product"])
    return {
        "id": call.id("li"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": unit["currency"],
        "description": product["name"],
        "price": public(unit),
        "quantity": quantity,
    }


def details(email: str | None, name: str | None) -> dict[str, Any]:
    """`customer_details` of a session."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _blank(call: Call, mode: str) -> Obj:
    id = f"cs_test_{call.engine.token(58)}"
    return {
        **dict.fromkeys(_NULLS.split()),
        "id": id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": call.now(),
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "discounts": None if mode == "setup" else [],
        "livemode": False,
        "metadata": {},
        "mode": mode,
        "payment_method_collection": "if_required" if mode != "subscription" else "always",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": offered("usd"),
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "ui_mode": "hosted_page",
        "url": f"{call.engine.config.public_url}/checkout/{id}",
    }


def load(call: Call, id: str) -> Obj:
    """A session, expired first when its time is over."""
    session = call.get("checkout.session", id, "session")
    if session["status"] == "open" and session["expires_at"] <= call.now():
        return close(call, session)
    return session


def close(call: Call, session: Obj) -> Obj:
    """The session ends unpaid, and so do the intents it made."""
    session.update(status="expired", url=None)
    call.put(session)
    pi = call.engine.store.get("payment_intent", session["payment_intent"] or "")
    if pi and pi["status"].startswith("requires_"):
        payment_intents.cancel_intent(call, pi, "automatic")
    intent = call.engine.store.get("setup_intent", session["setup_intent"] or "")
    if intent and intent["status"].startswith("requires_"):
        setup_intents.cancel_intent(call, intent)
    call.emit("checkout.session.expired", session)
    return session


@route("get", "/v1/checkout/sessions/{session}")
def retrieve(call: Call, session: str) -> Obj:
    found = load(call, session)
    if any(path.split(".")[0] == "line_items" for path in call.params.get("expand", [])):
        found = {**found, "line_items": _items(found)}
    return found


def _items(session: Obj) -> Obj:
    return whole(session.get("_items", []), f"/v1/checkout/sessions/{session['id']}/line_items")


@route("get", "/v1/checkout/sessions/{session}/line_items")
def line_items(call: Call, session: str) -> Obj:
    return _items(load(call, session))


@route("post", "/v1/checkout/sessions/{session}")
def update(call: Call, session: str) -> Obj:
    found = load(call, session)
    merge_metadata(found, call.params)
    return call.put(found)


@route("post", "/v1/checkout/sessions/{session}/expire")
def expire(call: Call, session: str) -> Obj:
    found = load(call, session)
    if found["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
            f"status of {found['status']}."
        )
    return close(call, found)


@route("get", "/v1/checkout/sessions")
def index(call: Call) -> Obj:
    names = ("customer", "payment_intent", "status", "subscription")
    return page(
        call, "checkout.session", "/v1/checkout/sessions", **{name: call.params.get(name) for name in names}
    )
