"""A promotion code on a Checkout page: what it takes off the session, and a session that it makes free.

As docs.stripe.com/payments/checkout/discounts has it: the session says what was taken off in `total_details.amount_discount`
and line by line; a total of nothing needs no payment (docs.stripe.com/payments/checkout/no-cost-orders).
"""

from __future__ import annotations

from local.stripe import currencies, discounts
from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.resources import checkout
from local.stripe.resources.coupons import by_code
from local.stripe.store import Obj


def apply(call: Call, id: str, typed: str) -> Obj:
    """The open session with the code that a customer typed, in place of any other; an empty one removes it."""
    session = checkout.load(call, id)
    if session["status"] != "open" or not session["allow_promotion_codes"]:
        raise invalid("This Checkout Session takes no promotion codes.", "promotion_code")
    code = by_code(call, typed.strip()) if typed.strip() else None
    if typed.strip() and code is None:
        raise invalid("This code is invalid.", "promotion_code", "promotion_code_invalid")
    items = session["_items"]
    taken = [0] * len(items)
    if code is not None:
        discounts.check_code(call, code, session["customer"])
        coupon = call.get("coupon", code["promotion"]["coupon"])
        discounts.check_coupon(call, coupon)
        _check_restrictions(session, code, coupon)
        use = {"source": {"coupon": coupon["id"]}}
        products = [item["price"]["product"] for item in items]
        taken = discounts.taken(call, use, [item["amount_subtotal"] for item in items], products)
    for item, amount in zip(items, taken, strict=True):
        item.update(amount_discount=amount, amount_total=item["amount_subtotal"] - amount)
    total = session["amount_subtotal"] - sum(taken)
    if total:
        small = currencies.too_small(total, session["currency"])
        if small:
            raise invalid(small, "promotion_code", "amount_too_small")
        currencies.check_last_digit(total, session["currency"])
    session["amount_total"] = total
    session["total_details"] = {**session["total_details"], "amount_discount": sum(taken)}
    session["discounts"] = [{"coupon": None, "promotion_code": code["id"]}] if code else []
    intent = call.engine.store.get("payment_intent", session["payment_intent"] or "")
    if intent and intent["status"] == "requires_payment_method" and total:
        intent["amount"] = total
        call.put(intent)
    return call.put(session)


def redeem(call: Call, session: Obj) -> None:
    """Counts the use of the session's code, now that the session is complete."""
    for used in session["discounts"]:
        code = call.get("promotion_code", used["promotion_code"])
        coupon = call.get("coupon", code["promotion"]["coupon"])
        discounts.redeem(call, coupon, code, session["customer"], {"checkout_session": session["id"]})


def complete_free(call: Call, session: Obj) -> Obj:
    """Completes a session whose code took everything off: no payment, no PaymentIntent, no card."""
    session.update(status="complete", url=None, payment_status="no_payment_required")
    redeem(call, session)
    call.put(session)
    call.emit("checkout.session.completed", session)
    return session


def _check_restrictions(session: Obj, code: Obj, coupon: Obj) -> None:
    least = code["restrictions"]["minimum_amount"]
    currency = code["restrictions"]["minimum_amount_currency"]
    if least is not None and (currency != session["currency"] or session["amount_subtotal"] < least):
        raise invalid("This order is below the minimum amount of the promotion code.", "promotion_code")
    if coupon["currency"] not in (None, session["currency"]):
        raise invalid("This code cannot be used for orders in this currency.", "promotion_code")
