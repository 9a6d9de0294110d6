"""PaymentMethods: cards by number or `pm_card_*` name, of one customer, unusable once detached."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

from local.stripe import cards, methods
from local.stripe.engine import Call
from local.stripe.errors import card_error, invalid, missing_object, missing_param
from local.stripe.lists import page
from local.stripe.objects import billing_details, card_payment_method
from local.stripe.resources.customers import living
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj

_CENTURY = 2000
_SHORT_YEARS, _MONTHS = range(100), range(1, 13)


@route("post", "/v1/payment_methods")
def create(call: Call) -> Obj:
    """There is no event for it."""
    pm = from_data(call, call.params)
    merge_metadata(pm, call.params)
    return call.put(pm)


def from_data(call: Call, data: dict[str, Any]) -> Obj:
    """A new card PaymentMethod from `type` and `card` parameters."""
    if data.get("type") in methods.TYPES:
        return methods.build(call, data)
    if data.get("type", "card") != "card":
        raise invalid(f"The local Stripe does not make payment methods of type {data.get('type')}.", "type")
    card = data.get("card")
    if not card:
        raise missing_param("card")
    if "token" in card:
        return _clone(call, "pm_card_" + str(card["token"]).removeprefix("tok_"), data.get("billing_details"))
    number = str(card.get("number", "")).replace(" ", "")
    if not cards.luhn(number):
        raise card_error("Your card number is incorrect.", "incorrect_number", param="number")
    expiry = (int(card.get("exp_month", 0)), int(card.get("exp_year", 0)))
    year = expiry[1] + _CENTURY if expiry[1] in _SHORT_YEARS else expiry[1]
    now = dt.datetime.fromtimestamp(call.now(), dt.UTC)
    if expiry[0] not in _MONTHS:
        raise card_error(
            "Your card's expiration month is invalid.", "invalid_expiry_month", param="exp_month"
        )
    if (year, expiry[0]) < (now.year, now.month):
        raise card_error("Your card's expiration year is invalid.", "invalid_expiry_year", param="exp_year")
    return _card(call, number, (expiry[0], year), data.get("billing_details"))


def _card(call: Call, number: str, expiry: tuple[int, int], billing: Any = None) -> Obj:
    brand, behaviour = cards.behaviour_for(number)
    return {**card_payment_method(call, number, brand, expiry, billing), "_behaviour": behaviour}


def _clone(call: Call, name: str, billing: Any = None) -> Obj:
    if name not in cards.MAGIC:
        raise missing_object("payment_method", name, "payment_method", 400)
    year = dt.datetime.fromtimestamp(call.now(), dt.UTC).year + 1
    return _card(call, cards.MAGIC[name], (9, year), billing)


def find(call: Call, id: str, param: str = "payment_method", status: int = 400) -> Obj:
    """A stored PaymentMethod, or a new one made from a `pm_card_*` name."""
    if id.startswith("pm_card_"):
        return call.put(_clone(call, id))
    if id in methods.MAGIC:
        return call.put(methods.of_magic(call, id))
    return call.get("payment_method", id, param, status)


def check_usable(pm: Obj) -> None:
    """A PaymentMethod without a customer is good for one use."""
    if pm["customer"] is None and (pm.get("_detached") or pm.get("_used")):
        raise invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
            "attachment, shared with a connected account without Customer attachment, or was detached from "
            "a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach "
            "it to a Customer first."
        )


@route("get", "/v1/payment_methods/{payment_method}")
def retrieve(call: Call, payment_method: str) -> Obj:
    return find(call, payment_method, status=404)


@route("post", "/v1/payment_methods/{payment_method}")
def update(call: Call, payment_method: str) -> Obj:
    pm = call.get("payment_method", payment_method, "payment_method")
    before = copy.deepcopy(pm)
    merge_metadata(pm, call.params)
    if "billing_details" in call.params:
        pm["billing_details"] = billing_details(
            {**pm["billing_details"], **(call.params["billing_details"] or {})}
        )
    if call.params.get("allow_redisplay"):
        pm["allow_redisplay"] = call.params["allow_redisplay"]
    card = call.params.get("card") or {}
    if card and pm["type"] != "card":
        raise invalid("You can only update card details of a card.", "card")
    if card:
        pm["card"].update({name: card[name] for name in ("exp_month", "exp_year") if name in card})
    difference = changed(before, pm)
    call.put(pm)
    if difference and pm["customer"]:
        call.emit("payment_method.updated", pm, difference)
    return pm


@route("post", "/v1/payment_methods/{payment_method}/attach")
def attach(call: Call, payment_method: str) -> Obj:
    if not call.params.get("customer"):
        raise missing_param("customer")
    customer = living(call, call.params["customer"])
    pm = find(call, payment_method, status=404)
    check_usable(pm)
    if pm["customer"] == customer["id"]:
        return pm
    if pm["customer"]:
        raise invalid("The payment method you provided has already been attached to a customer.")
    return attach_to(call, pm, customer["id"])


def attach_to(call: Call, pm: Obj, customer: str) -> Obj:
    """Attach after the check that Stripe makes with the bank: some test cards already fail here."""
    behaviour = pm.get("_behaviour", cards.OK)
    if behaviour.get("at_attach"):
        code, decline_code = behaviour["code"], behaviour["decline_code"]
        raise card_error(
            cards.message(code, decline_code),
            code,
            decline_code=decline_code,
            advice_code=behaviour["advice_code"],
            network_decline_code="01" if decline_code == "generic_decline" else None,
            param="",
        )
    pm["customer"] = customer
    call.put(pm)
    call.emit("payment_method.attached", pm)
    return pm


@route("post", "/v1/payment_methods/{payment_method}/detach")
def detach(call: Call, payment_method: str) -> Obj:
    pm = call.get("payment_method", payment_method, "payment_method")
    if pm["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            "payment_method",
        )
    owner = call.engine.store.get("customer", pm["customer"])
    pm.update(customer=None, _detached=True)
    call.put(pm)
    call.emit("payment_method.detached", pm, {"customer": owner["id"] if owner else None})
    if owner and owner["invoice_settings"]["default_payment_method"] == pm["id"]:
        owner["invoice_settings"]["default_payment_method"] = None
        call.put(owner)
        call.emit("customer.updated", owner, {"invoice_settings": {"default_payment_method": pm["id"]}})
    return pm


@route("get", "/v1/payment_methods")
def index(call: Call) -> Obj:
    customer = call.params.get("customer")
    if customer is None:
        return {"object": "list", "data": [], "has_more": False, "url": "/v1/payment_methods"}
    return _of_customer(call, customer, "/v1/payment_methods", 400)


@route("get", "/v1/customers/{customer}/payment_methods")
def of_customer(call: Call, customer: str) -> Obj:
    return _of_customer(call, customer, f"/v1/customers/{customer}/payment_methods", 404)


def _of_customer(call: Call, customer: str, url: str, status: int) -> Obj:
    living(call, customer, status=status)
    return page(call, "payment_method", url, customer=customer, type=call.params.get("type"))


@route("get", "/v1/customers/{customer}/payment_methods/{payment_method}")
def retrieve_of_customer(call: Call, customer: str, payment_method: str) -> Obj:
    pm = call.get("payment_method", payment_method, "payment_method")
    if pm["customer"] != customer:
        raise missing_object("payment_method", payment_method, "payment_method")
    return pm
