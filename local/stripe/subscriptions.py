"""Subscriptions as objects: items with periods, trials, and the invoices of new cycles.

Flexible billing mode, the default of this API version: an anchor stays where it is when prices change, credits are for
what was billed, and both lines of a change are prorations. `billing_mode[type]=classic` is the older behaviour: another
interval, or the step from free to paid, begins a cycle with a full line
(docs.stripe.com/billing/subscriptions/billing-mode/compare).
"""

from __future__ import annotations

from typing import Any

from local.stripe import collection, discounts, intervals, invoices, lines
from local.stripe.engine import Call
from local.stripe.errors import StripeError, invalid
from local.stripe.lists import whole
from local.stripe.resources.catalogue import price as make_price
from local.stripe.store import Obj, public

_NULLS = (
    "application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at "
    "canceled_at customer_account days_until_due default_payment_method default_source description ended_at "
    "latest_invoice next_pending_invoice_item_invoice on_behalf_of pause_collection pending_invoice_item_interval "
    "pending_setup_intent pending_update schedule test_clock transfer_data trial_end trial_start"
)


def build(call: Call, customer: Obj, currency: str, mode: dict[str, Any] | None = None) -> Obj:
    """A subscription without items, not yet stored."""
    now = call.now()
    id = call.id("sub")
    mode = mode or {"type": "flexible"}
    flexible = {"proration_discounts": "included", **(mode.get("flexible") or {})}
    return {
        **dict.fromkeys(_NULLS.split()),
        "id": id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {
            "flexible": flexible if mode["type"] == "flexible" else None,
            "type": mode["type"],
            "updated_at": now,
        },
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": whole([], f"/v1/subscription_items?subscription={id}"),
        "livemode": False,
        "metadata": {},
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "start_date": now,
        "status": "incomplete",
        "test_clock": customer["test_clock"],
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }


def items(subscription: Obj) -> list[Obj]:
    """The subscription's items, to read and to change."""
    found: list[Obj] = subscription["items"]["data"]
    return found


def item(call: Call, subscription: Obj, price: Obj, quantity: int) -> Obj:
    """An item in the period that the anchor gives it at this moment, or in the trial."""
    made: Obj = {
        "id": call.id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": call.now(),
        "current_period_end": 0,
        "current_period_start": 0,
        "discounts": [],
        "metadata": {},
        "plan": plan(price),
        "price": price,
        "quantity": quantity,
        "subscription": subscription["id"],
        "tax_rates": [],
    }
    place(call, subscription, made)
    return made


def place(call: Call, subscription: Obj, one: Obj) -> None:
    """Give an item its period."""
    if subscription["trial_end"] and subscription["trial_end"] > call.now():
        period = (subscription["trial_start"], subscription["trial_end"])
    else:
        period = intervals.period_of(
            subscription["billing_cycle_anchor"], lines.recurring(one["price"]), call.now()
        )
    one.update(current_period_start=period[0], current_period_end=period[1])


def plan(price: Obj) -> Obj:
    """A price in its older form, which items still carry."""
    copied = {
        name: price[name]
        for name in ("id", "active", "billing_scheme", "created", "currency", "metadata", "nickname")
    }
    unit = lines.recurring(price)
    return {
        **copied,
        "object": "plan",
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": unit["interval"],
        "interval_count": unit["interval_count"],
        "livemode": False,
        "meter": None,
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def price_of(call: Call, data: dict[str, Any], param: str, currency: str | None) -> Obj:
    """The recurring price of an `items` entry: by id, by its older name `plan`, or inline."""
    if data.get("price_data"):
        found = make_price(call, data["price_data"], inline=True)
    else:
        name = "price" if data.get("price") else "plan"
        id = data.get(name)
        if not id:
            raise invalid(f"Missing required param: {param}[price].", f"{param}[price]", "parameter_missing")
        stored = call.engine.store.get("price", id)
        if stored is None:
            raise call.engine.missing("price", id, f"{param}[{name}]", 400)
        found = stored
        if not found["active"]:
            text = "The price specified is inactive. This field only accepts active prices."
            raise invalid(text, f"{param}[price]")
    if found["recurring"] is None:
        text = (
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`."
        )
        raise invalid(text, f"{param}[price]")
    if currency and found["currency"] != currency:
        text = (
            f"The price specified only supports `{found['currency']}`. This doesn't match the expected currency: "
            f"`{currency}`."
        )
        raise invalid(text, f"{param}[price]")
    kept: Obj = public(found)
    return kept


def bill_cycle(call: Call, subscription: Obj, reason: str, found: list[Obj], collect: bool = True) -> Obj:
    """Invoice items for their current period, with everything pending; finalize it and have it paid.

    Stores the subscription first. The caller reads it again afterwards: payment may have moved it.
    """
    trial = subscription["status"] == "trialing"
    made = [lines.cycle(call, subscription, one, trial) for one in found]
    return bill(call, subscription, reason, made, collect=collect)


def bill(
    call: Call,
    subscription: Obj,
    reason: str,
    made: list[Obj],
    collect: bool = True,
    off_session: bool = True,
    method: str | None = None,
) -> Obj:
    """An invoice of these lines and all pending invoice items of the subscription."""
    customer = call.get("customer", subscription["customer"])
    waiting = lines.pending(call, customer["id"], subscription["id"])
    rows = [*(lines.of_invoice_item(call, one) for one in waiting), *made]
    invoice = invoices.make(
        call,
        customer,
        subscription["currency"],
        reason,
        subscription,
        rows,
        _looked_back(call, subscription, reason),
    )
    for one in waiting:
        call.put({**one, "invoice": invoice["id"]})
    _note_billed(subscription, invoice)
    _spend_once(call, subscription)
    subscription["latest_invoice"] = invoice["id"]
    call.put(subscription)
    call.emit("invoice.created", invoice)
    if not collect:
        return invoice
    return finish(call, invoice, subscription, off_session, method)


def finish(
    call: Call, invoice: Obj, subscription: Obj, off_session: bool = True, method: str | None = None
) -> Obj:
    """Finalize and collect, unless collection is paused."""
    paused = subscription["pause_collection"]
    if paused and paused["behavior"] == "keep_as_draft":
        return invoice
    collection.finalize(call, invoice)
    if invoice["status"] != "open":
        return invoice
    if paused:
        return collection.end_unpaid(
            call, invoice, "void" if paused["behavior"] == "void" else "uncollectible"
        )
    if subscription["collection_method"] == "charge_automatically":
        refusal = collection.collect(call, invoice, method, off_session)
        if refusal is not None:
            return {**call.get("invoice", invoice["id"]), "_refusal": refusal}
    return call.get("invoice", invoice["id"])


def refusal_of(invoice: Obj) -> StripeError | None:
    """Why collecting did not work, if it was tried; only in memory."""
    found: StripeError | None = invoice.get("_refusal")
    return found


def _looked_back(call: Call, subscription: Obj, reason: str) -> tuple[int, int]:
    now = call.now()
    if reason == "subscription_create":
        return now, now
    start = min(one["current_period_start"] for one in items(subscription)) if items(subscription) else now
    return (
        (min(start, now), now)
        if reason == "subscription_update"
        else (subscription.get("_before", start), start)
    )


def _note_billed(subscription: Obj, invoice: Obj) -> None:
    """Remember on each item what was billed for which time: credits go by that."""
    known = {one["id"]: one for one in items(subscription)}
    for row in invoice["_lines"]:
        details = row["parent"]["subscription_item_details"]
        one = known.get(details["subscription_item"]) if details else None
        if one is None or row["amount"] < 0:
            continue
        if not one["current_period_start"] <= row["period"]["start"] < one["current_period_end"]:
            continue
        one["_billed"] = {
            "amount": invoices.net(row),
            "from": row["period"]["start"],
            "invoice": invoice["id"],
            "lines": [row["id"]],
        }


def _spend_once(call: Call, subscription: Obj) -> None:
    """Coupons of duration `once` have done their work."""
    for discount in discounts.in_force(call, subscription["discounts"], call.now()):
        if discounts.coupon_of(call, discount)["duration"] == "once":
            call.put({**discount, "_spent": True, "end": call.now()})
            subscription["discounts"].remove(discount["id"])
