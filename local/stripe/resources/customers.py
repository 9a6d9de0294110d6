"""Customers."""

from __future__ import annotations

import copy
from collections.abc import Callable

from local.stripe.addresses import check_address
from local.stripe.engine import Call
from local.stripe.errors import missing_object
from local.stripe.lists import page
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj

# Who ends what belonged to a deleted customer: subscriptions do. Called with its id, before customer.deleted.
FOLLOWERS: list[Callable[[Call, str], None]] = []

_PLAIN = (
    "address",
    "description",
    "email",
    "name",
    "phone",
    "shipping",
    "preferred_locales",
    "tax_exempt",
    "balance",
)


@route("post", "/v1/customers")
def create(call: Call) -> Obj:
    customer = call.put(build(call))
    call.emit("customer.created", customer)
    return customer


def build(call: Call) -> Obj:
    """A customer from the call's parameters, not yet stored."""
    customer: Obj = {
        "id": call.id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": call.engine.token(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    if call.params.get("test_clock"):
        clock = call.get("test_helpers.test_clock", call.params["test_clock"], "test_clock", 400)
        customer.update(test_clock=clock["id"], created=clock["frozen_time"])
    _apply(call, customer)
    return customer


def _apply(call: Call, customer: Obj) -> None:
    params = call.params
    check_address(params.get("email"))
    customer.update({name: params[name] for name in _PLAIN if name in params})
    merge_metadata(customer, params)
    settings = params.get("invoice_settings") or {}
    if "default_payment_method" in settings:
        id = settings["default_payment_method"]
        if id is not None:
            pm = call.engine.store.get("payment_method", id)
            if pm is None or pm["customer"] != customer["id"]:
                raise missing_object("payment_method", id, "invoice_settings[default_payment_method]", 400)
        customer["invoice_settings"]["default_payment_method"] = id


@route("get", "/v1/customers/{customer}")
def retrieve(call: Call, customer: str) -> Obj:
    """A deleted customer is still answered, as its deleted form."""
    found = call.get("customer", customer)
    return _deleted(customer) if found.get("_deleted") else found


def living(call: Call, id: str, param: str = "customer", status: int = 400) -> Obj:
    """A customer that exists and was not deleted."""
    found = call.get("customer", id, param, status)
    if found.get("_deleted"):
        raise missing_object("customer", id, param, status)
    return found


def clocked(call: Call, id: str, deleted: bool = False) -> Obj:
    """A customer whose test clock, if there is one, is the clock of this call from here on."""
    found = call.get("customer", id, "customer", 400) if deleted else living(call, id)
    clock = call.engine.store.get("test_helpers.test_clock", found["test_clock"] or "")
    if clock is not None:
        call.at = clock["frozen_time"]
    return found


@route("post", "/v1/customers/{customer}")
def update(call: Call, customer: str) -> Obj:
    found = living(call, customer, "id", 404)
    before = copy.deepcopy(found)
    _apply(call, found)
    difference = changed(before, found)
    if difference:
        call.put(found)
        call.emit("customer.updated", found, difference)
    return found


@route("delete", "/v1/customers/{customer}")
def delete(call: Call, customer: str) -> Obj:
    found = living(call, customer, "id", 404)
    for pm in call.engine.store.select("payment_method", "customer = ?", (customer,)):
        pm.update(customer=None, _detached=True)
        call.put(pm)
    for follow in FOLLOWERS:
        follow(call, customer)
    call.emit("customer.deleted", found)
    call.put({**found, "_deleted": True})
    return _deleted(customer)


def _deleted(id: str) -> Obj:
    return {"id": id, "object": "customer", "deleted": True}


@route("get", "/v1/customers")
def index(call: Call) -> Obj:
    return page(call, "customer", "/v1/customers", email=call.params.get("email"))
