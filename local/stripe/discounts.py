"""Coupons, promotion codes and discounts: whether they are valid, and what they take off.

A discount is one use of a coupon: on a customer's invoice, an invoice item, a subscription or a Checkout Session
(docs.stripe.com/billing/subscriptions/coupons).
"""

from __future__ import annotations

from typing import Any

from local.stripe import intervals
from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.store import Obj

_WHOLE = 100
_MONTH = {"interval": "month", "interval_count": 1}


def begin(
    call: Call, given: list[dict[str, Any]] | None, customer: str, param: str, **target: Any
) -> list[Obj]:
    """New discount objects for a `discounts` parameter, stored; `target` names what they stand on."""
    return [
        _begin(call, entry, customer, f"{param}[{place}]", target) for place, entry in enumerate(given or [])
    ]


def _begin(call: Call, entry: dict[str, Any], customer: str, param: str, target: dict[str, Any]) -> Obj:
    if entry.get("discount"):
        return call.get("discount", entry["discount"], f"{param}[discount]", 400)
    code = None
    if entry.get("promotion_code"):
        code = call.get("promotion_code", entry["promotion_code"], f"{param}[promotion_code]", 400)
        check_code(call, code, customer)
        coupon_id = code["promotion"]["coupon"]
    elif entry.get("coupon"):
        coupon_id = entry["coupon"]
    else:
        raise invalid(
            "You must specify one of: coupon, discount, promotion_code.", param, "parameter_missing"
        )
    return redeem(call, call.get("coupon", coupon_id, f"{param}[coupon]", 400), code, customer, target)


def redeem(call: Call, coupon: Obj, code: Obj | None, customer: str | None, target: dict[str, Any]) -> Obj:
    """One use of a coupon, counted on it and on its promotion code."""
    check_coupon(call, coupon)
    coupon["times_redeemed"] += 1
    limit = coupon["max_redemptions"]
    coupon["valid"] = limit is None or coupon["times_redeemed"] < limit
    call.put(coupon)
    if code is not None:
        code["times_redeemed"] += 1
        limit = code["max_redemptions"]
        code["active"] = code["active"] and (limit is None or code["times_redeemed"] < limit)
        call.put(code)
    months = coupon["duration_in_months"]
    return call.put(
        {
            "id": call.id("di"),
            "object": "discount",
            "checkout_session": None,
            "customer": customer,
            "customer_account": None,
            "end": intervals.added(call.now(), _MONTH, months) if months else None,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": code["id"] if code else None,
            "source": {"coupon": coupon["id"], "type": "coupon"},
            "start": call.now(),
            "subscription": None,
            "subscription_item": None,
            **target,
        }
    )


def check_coupon(call: Call, coupon: Obj) -> None:
    """Refuse a coupon that is used up or past its time."""
    by = coupon["redeem_by"]
    if not coupon["valid"] or coupon.get("_deleted") or (by is not None and by <= call.now()):
        raise invalid(f"Coupon {coupon['id']} is used up and cannot be applied.", "coupon", "coupon_expired")


def check_code(call: Call, code: Obj, customer: str | None) -> None:
    """Refuse a promotion code that is inactive, past its time, or another customer's."""
    expired = code["expires_at"] is not None and code["expires_at"] <= call.now()
    if not code["active"] or expired or (code["customer"] and code["customer"] != customer):
        raise invalid("This promotion code is invalid.", "promotion_code", "promotion_code_invalid")
    if code["restrictions"]["first_time_transaction"] and customer and _has_paid(call, customer):
        raise invalid(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            "promotion_code",
            "customer_has_prior_transactions",
        )


def _has_paid(call: Call, customer: str) -> bool:
    where = "customer = ? and json_extract(body, '$.status') = 'succeeded'"
    return bool(call.engine.store.select("charge", where, (customer,), limit=1))


def coupon_of(call: Call, discount: Obj) -> Obj:
    """The coupon that a discount is a use of."""
    return call.get("coupon", discount["source"]["coupon"])


def in_force(call: Call, ids: list[str], moment: int) -> list[Obj]:
    """Those of a subscription's discounts that count at a moment: their months are not over."""
    found = [call.get("discount", id) for id in ids]
    return [one for one in found if not one.get("_spent") and (one["end"] is None or one["end"] > moment)]


def taken(call: Call, discount: Obj, amounts: list[int], products: list[str]) -> list[int]:
    """What one discount takes off each amount, in minor units; never more than the amounts come to."""
    return taken_by(coupon_of(call, discount), amounts, products)


def taken_by(coupon: Obj, amounts: list[int], products: list[str]) -> list[int]:
    """As `taken`, by the coupon."""
    only = (coupon.get("applies_to") or {}).get("products")
    open_ = [
        max(amount, 0) if only is None or product in only else 0
        for amount, product in zip(amounts, products, strict=True)
    ]
    if coupon["percent_off"] is not None:
        basis_points = round(coupon["percent_off"] * _WHOLE)
        return [intervals.share(amount, basis_points, _WHOLE * _WHOLE) for amount in open_]
    total = sum(open_)
    left = off = min(coupon["amount_off"], total)
    shares = []
    for amount in open_:
        part = min(intervals.share(off, amount, total), left)
        shares.append(part)
        left -= part
    if shares and left:
        shares[max(range(len(shares)), key=lambda place: open_[place])] += left
    return shares


def rate(call: Call, found: list[Obj]) -> float:
    """What is left of a price after percentages: the only discounts that Stripe prorates by rate."""
    left = 1.0
    for discount in found:
        percent = coupon_of(call, discount)["percent_off"]
        if percent is not None:
            left *= 1 - percent / _WHOLE
    return left
