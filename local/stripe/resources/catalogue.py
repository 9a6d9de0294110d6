"""Products and prices: stored ones, and the inline `price_data` of Checkout."""

from __future__ import annotations

from typing import Any

from local.stripe.currencies import known
from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.lists import page
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj, public


@route("post", "/v1/products")
def create_product(call: Call) -> Obj:
    made = product(call, call.params)
    call.emit("product.created", made)
    return made


def product(call: Call, data: dict[str, Any]) -> Obj:
    made: Obj = {
        "id": data.get("id") or call.id("prod"),
        "object": "product",
        "active": data.get("active", True),
        "created": call.now(),
        "default_price": None,
        "description": data.get("description"),
        "images": data.get("images") or [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": data["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": data.get("tax_code"),
        "type": "service",
        "unit_label": None,
        "updated": call.now(),
        "url": None,
    }
    merge_metadata(made, data)
    return call.put(made)


@route("get", "/v1/products/{id}")
def retrieve_product(call: Call, id: str) -> Obj:
    return call.get("product", id)


@route("get", "/v1/products")
def list_products(call: Call) -> Obj:
    return page(call, "product", "/v1/products", active=call.params.get("active"))


@route("post", "/v1/prices")
def create_price(call: Call) -> Obj:
    made = price(call, call.params)
    call.emit("price.created", made)
    return made


def price(call: Call, data: dict[str, Any], inline: bool = False) -> Obj:
    """A stored price; an inline one is inactive, as Stripe makes them."""
    if data.get("product"):
        owner = call.get("product", data["product"], "product", 400)
    elif data.get("product_data"):
        owner = product(call, {**data["product_data"], "active": not inline})
    else:
        raise invalid("You must specify either `product` or `product_data` when creating a price.", "product")
    if data.get("unit_amount") is None and not data.get("unit_amount_decimal"):
        raise invalid(
            "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.", "unit_amount"
        )
    amount = (
        data["unit_amount"]
        if data.get("unit_amount") is not None
        else int(float(data["unit_amount_decimal"]))
    )
    if amount < 0:
        raise invalid(
            "This value must be greater than or equal to 0.", "unit_amount", "parameter_invalid_integer"
        )
    made: Obj = {
        "id": call.id("price"),
        "object": "price",
        "active": not inline,
        "billing_scheme": "per_unit",
        "created": call.now(),
        "currency": known(data["currency"]),
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": data.get("lookup_key"),
        "metadata": {},
        "nickname": data.get("nickname"),
        "product": owner["id"],
        "recurring": _recurring(data.get("recurring")),
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if data.get("recurring") else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    merge_metadata(made, data)
    return call.put(made)


def _recurring(data: dict[str, Any] | None) -> dict[str, Any] | None:
    if not data:
        return None
    count = data.get("interval_count", 1)
    return {
        "interval": data["interval"],
        "interval_count": count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


@route("get", "/v1/prices/{price}")
def retrieve_price(call: Call, price: str) -> Obj:
    return call.get("price", price, "price")


@route("post", "/v1/prices/{price}")
def update_price(call: Call, price: str) -> Obj:
    """Amount, currency and interval never change (docs.stripe.com/api/prices/update)."""
    found = call.get("price", price, "price")
    before = public(found)
    found.update({name: call.params[name] for name in ("active", "nickname") if name in call.params})
    merge_metadata(found, call.params)
    call.put(found)
    call.emit("price.updated", found, changed(before, found))
    return found


@route("get", "/v1/prices")
def list_prices(call: Call) -> Obj:
    params = call.params
    return page(call, "price", "/v1/prices", active=params.get("active"), product=params.get("product"))
