"""Coupons and promotion codes (`discounts.py` applies them)."""

from __future__ import annotations

from typing import Any

from local.stripe.currencies import known
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_object
from local.stripe.lists import page
from local.stripe.resources.customers import living
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj, public

_MOST = 100


@route("post", "/v1/coupons")
def create_coupon(call: Call) -> Obj:
    params = call.params
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if (percent is None) == (amount is None):
        raise invalid("Must provide percent_off or amount_off, and not both.", "percent_off")
    if percent is not None and not 0 < float(percent) <= _MOST:
        raise invalid("Invalid percent_off: must be greater than 0 and at most 100.", "percent_off")
    if amount is not None and not params.get("currency"):
        raise invalid("You must pass currency when passing amount_off.", "currency", "parameter_missing")
    duration = params.get("duration", "once")
    if (duration == "repeating") != bool(params.get("duration_in_months")):
        raise invalid("duration_in_months goes with duration=repeating.", "duration_in_months")
    id = params.get("id") or call.engine.token(8)
    if call.engine.store.get("coupon", id):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    made: Obj = {
        "id": id,
        "object": "coupon",
        "amount_off": amount,
        "created": call.now(),
        "currency": known(params["currency"]) if amount is not None else None,
        "duration": duration,
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": {},
        "name": params.get("name"),
        "percent_off": float(percent) if percent is not None else None,
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    if params.get("applies_to"):
        made["applies_to"] = dict(params["applies_to"])
    merge_metadata(made, params)
    call.put(made)
    call.emit("coupon.created", made)
    return made


@route("get", "/v1/coupons/{coupon}")
def retrieve_coupon(call: Call, coupon: str) -> Obj:
    return _living(call, coupon)


@route("get", "/v1/coupons")
def list_coupons(call: Call) -> Obj:
    return page(call, "coupon", "/v1/coupons")


@route("delete", "/v1/coupons/{coupon}")
def delete_coupon(call: Call, coupon: str) -> Obj:
    """Nobody can use it any more; who has it keeps it."""
    found = _living(call, coupon)
    call.put({**found, "valid": False, "_deleted": True})
    call.emit("coupon.deleted", found)
    return {"id": coupon, "object": "coupon", "deleted": True}


def _living(call: Call, id: str) -> Obj:
    found = call.get("coupon", id, "coupon")
    if found.get("_deleted"):
        raise missing_object("coupon", id, "coupon")
    return found


@route("post", "/v1/promotion_codes")
def create_code(call: Call) -> Obj:
    params = call.params
    promotion = params["promotion"]
    coupon = call.get("coupon", promotion.get("coupon") or "", "promotion[coupon]", 400)
    code = params.get("code") or call.engine.token(8).upper()
    if by_code(call, code):
        text = f"An active promotion code with `code: {code}` already exists."
        raise invalid(text, "code")
    given: dict[str, Any] = params.get("restrictions") or {}
    made: Obj = {
        "id": call.id("promo"),
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": call.now(),
        "customer": living(call, params["customer"])["id"] if params.get("customer") else None,
        "customer_account": None,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": {},
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": {
            "first_time_transaction": given.get("first_time_transaction", False),
            "minimum_amount": given.get("minimum_amount"),
            "minimum_amount_currency": given.get("minimum_amount_currency"),
        },
        "times_redeemed": 0,
    }
    merge_metadata(made, params)
    call.put(made)
    call.emit("promotion_code.created", made)
    return made


def by_code(call: Call, code: str) -> Obj | None:
    """The active promotion code that customers type in; capital letters do not matter."""
    where = "upper(json_extract(body, '$.code')) = ? and json_extract(body, '$.active')"
    return next(iter(call.engine.store.select("promotion_code", where, (code.upper(),), limit=1)), None)


@route("get", "/v1/promotion_codes/{promotion_code}")
def retrieve_code(call: Call, promotion_code: str) -> Obj:
    return call.get("promotion_code", promotion_code, "promotion_code")


@route("get", "/v1/promotion_codes")
def list_codes(call: Call) -> Obj:
    params = call.params
    return page(
        call,
        "promotion_code",
        "/v1/promotion_codes",
        active=params.get("active"),
        code=params.get("code"),
        customer=params.get("customer"),
        **({"promotion.coupon": params["coupon"]} if "coupon" in params else {}),
    )


@route("post", "/v1/promotion_codes/{promotion_code}")
def update_code(call: Call, promotion_code: str) -> Obj:
    found = call.get("promotion_code", promotion_code, "promotion_code")
    before = public(found)
    if "active" in call.params:
        found["active"] = call.params["active"]
    merge_metadata(found, call.params)
    call.put(found)
    call.emit("promotion_code.updated", found, changed(before, public(found)))
    return found
