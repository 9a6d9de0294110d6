"""Coupons and promotion codes on a Checkout Session: from its `discounts`, or typed in by the customer."""

from __future__ import annotations

from typing import Any

from local.stripe import currencies, discounts
from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.resources.coupons import by_code
from local.stripe.store import Obj


def from_params(call: Call, session: Obj) -> None:
    """What the caller asked for: `allow_promotion_codes`, or one discount, not both."""
    params = call.params
    given = params.get("discounts") or []
    if given and params.get("allow_promotion_codes"):
        raise invalid(
            "You may only specify one of these parameters: allow_promotion_codes, discounts.",
            "allow_promotion_codes",
        )
    if len(given) > 1:
        raise invalid("You may only apply one discount to a Checkout Session.", "discounts")
    session["allow_promotion_codes"] = params.get("allow_promotion_codes") or None
    if not given:
        return
    entry = given[0]
    if entry.get("promotion_code"):
        code = call.get("promotion_code", entry["promotion_code"], "discounts[0][promotion_code]", 400)
        use(call, session, call.get("coupon", code["promotion"]["coupon"]), code)
    elif entry.get("coupon"):
        use(call, session, call.get("coupon", entry["coupon"], "discounts[0][coupon]", 400), None)


def enter(call: Call, session: Obj, text: str) -> None:
    """The customer types a code on the page, in place of any other; an empty one takes it away."""
    if not session["allow_promotion_codes"]:
        raise invalid("This Checkout Session does not take promotion codes.", "promotion_code")
    if not text.strip():
        _clear(session)
        return
    code = by_code(call, text.strip())
    if code is None:
        raise invalid("This code is invalid.", "promotion_code", "promotion_code_invalid")
    use(call, session, call.get("coupon", code["promotion"]["coupon"]), code)


def _clear(session: Obj) -> None:
    for item in session["_items"]:
        item.update(amount_discount=0, amount_total=item["amount_subtotal"])
    session["amount_total"] = 0 if session.get("_trial") else session["amount_subtotal"]
    session["total_details"] = {**session["total_details"], "amount_discount": 0}
    session.update(discounts=[], _coupon=None, _code=None)


def use(call: Call, session: Obj, coupon: Obj, code: Obj | None) -> None:
    """Take the coupon off the session's items; refused when it does not fit, and nothing changes then."""
    discounts.check_coupon(call, coupon)
    if code is not None:
        discounts.check_code(call, code, session["customer"])
        _check_minimum(session, code)
    if coupon["amount_off"] is not None and coupon["currency"] != session["currency"]:
        text = f"Coupon {coupon['id']} is in {coupon['currency']}, this Checkout Session in {session['currency']}."
        raise invalid(text, "discounts")
    items = session["_items"]
    taken = discounts.taken_by(
        coupon, [item["amount_subtotal"] for item in items], [item["price"]["product"] for item in items]
    )
    total = session["amount_subtotal"] - sum(taken)
    small = currencies.too_small(total, session["currency"]) if total else None
    if small and session["mode"] == "payment":
        text = small.replace("Amount must", "The Checkout Session's total amount must", 1)
        raise invalid(text, code="amount_too_small")
    for item, off in zip(items, taken, strict=True):
        item.update(amount_discount=off, amount_total=item["amount_subtotal"] - off)
    session["amount_total"] = 0 if session.get("_trial") else total
    session["total_details"] = {**session["total_details"], "amount_discount": sum(taken)}
    session["discounts"] = [
        {"coupon": None if code else coupon["id"], "promotion_code": code["id"] if code else None}
    ]
    session["_coupon"], session["_code"] = coupon["id"], code["id"] if code else None


def _check_minimum(session: Obj, code: Obj) -> None:
    rules: dict[str, Any] = code["restrictions"]
    least = rules["minimum_amount"]
    if least is None:
        return
    if rules["minimum_amount_currency"] != session["currency"] or session["amount_subtotal"] < least:
        raise invalid(
            "This code does not meet the minimum amount.", "promotion_code", "promotion_code_invalid"
        )


def redeem(call: Call, session: Obj) -> list[str]:
    """The session completes: its discount counts as used. The ids of discounts, for a subscription."""
    if not session.get("_coupon"):
        return []
    coupon = call.get("coupon", session["_coupon"])
    code = call.get("promotion_code", session["_code"]) if session["_code"] else None
    made = discounts.redeem(call, coupon, code, session["customer"], {"checkout_session": session["id"]})
    return [str(made["id"])]
