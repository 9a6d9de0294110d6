"""Lines of subscription invoices: cycles, trials, prorations and invoice items.

Prorations are invoice items first. They stay pending until the next invoice of the subscription, or are invoiced at
once (docs.stripe.com/billing/subscriptions/prorations). In flexible billing mode they show amounts after discounts.
"""

from __future__ import annotations

from typing import Any

from local.stripe import currencies, discounts, intervals
from local.stripe.engine import Call
from local.stripe.store import Obj

TIMES = "\N{MULTIPLICATION SIGN}"


def name(call: Call, price: Obj) -> str:
    """The product's name."""
    return str(call.get("product", price["product"])["name"])


def recurring(price: Obj) -> dict[str, Any]:
    """Interval and count of a price; a one-time price in a subscription counts as monthly."""
    return price["recurring"] or {"interval": "month", "interval_count": 1}


def line(
    call: Call, price: Obj, amount: int, quantity: int, period: tuple[int, int], text: str | None, parent: Obj
) -> Obj:
    """One line, not yet on an invoice."""
    return {
        "id": call.id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": text,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": parent,
        "period": {"end": period[1], "start": period[0]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subtotal": amount,
        "taxes": [],
    }


def of_item(subscription: str, item: str, invoice_item: str | None = None, proration: bool = False) -> Obj:
    """`parent` of a line that a subscription item makes."""
    details = {
        "invoice_item": invoice_item,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
        "subscription_item": item,
    }
    return {
        "invoice_item_details": None,
        "subscription_item_details": details,
        "type": "subscription_item_details",
    }


def cycle(call: Call, subscription: Obj, item: Obj, trial: bool = False) -> Obj:
    """What an item costs for its current period; nothing during a trial."""
    price, quantity = item["price"], item["quantity"]
    period = (item["current_period_start"], item["current_period_end"])
    product = name(call, price)
    text = f"Trial period for {product}" if trial else f"{quantity} {TIMES} {product} ({_rate(price)})"
    amount = 0 if trial else price["unit_amount"] * quantity
    made = line(call, price, amount, quantity, period, text, of_item(subscription["id"], item["id"]))
    made["metadata"] = dict(subscription["metadata"])
    return made


def _rate(price: Obj) -> str:
    unit = recurring(price)
    count, interval = unit["interval_count"], unit["interval"]
    every = interval if count == 1 else f"every {count} {interval}s"
    return f"at {currencies.written(price['unit_amount'], price['currency'])} / {every}"


def credit(call: Call, subscription: Obj, item: Obj, moment: int) -> Obj | None:
    """The pending item that gives the unused time of an item's period back, as it was billed; None if it was not."""
    start, end = item["current_period_start"], item["current_period_end"]
    billed = item.get("_billed")
    if billed is None or billed["amount"] <= 0 or not start <= moment < end:
        return None
    amount = -intervals.share(billed["amount"], end - moment, end - billed["from"])
    text = f"Unused time on {_counted(call, item)} after {intervals.day(moment)}"
    made = invoice_item(call, subscription, item, amount, (moment, end), text)
    waiting = billed["invoice"] is None
    if not waiting:
        made["_credited"] = {"invoice": billed["invoice"], "invoice_line_items": list(billed["lines"])}
    made["proration_details"]["credited_items"] = {
        "invoice_item": billed.get("item") if waiting else None,
        "invoice_line_item_details": made.get("_credited"),
        "type": "invoice_item" if waiting else "invoice_line_items",
    }
    return call.put(made)


def debit(call: Call, subscription: Obj, item: Obj, moment: int, whole: tuple[int, int]) -> Obj:
    """The pending item that charges an item for the rest of a period."""
    start, end = whole
    price = item["price"]
    full = price["unit_amount"] * item["quantity"]
    left = discounts.rate(call, discounts.in_force(call, subscription["discounts"], moment))
    amount = intervals.share(round(full * left), end - moment, end - start)
    text = f"Remaining time on {_counted(call, item)} after {intervals.day(moment)}"
    return call.put(invoice_item(call, subscription, item, amount, (moment, end), text))


def _counted(call: Call, item: Obj) -> str:
    product = name(call, item["price"])
    return product if item["quantity"] == 1 else f"{item['quantity']} {TIMES} {product}"


def invoice_item(
    call: Call, subscription: Obj, item: Obj, amount: int, period: tuple[int, int], text: str
) -> Obj:
    """A proration as a pending invoice item of the subscription, not yet stored."""
    made = blank_item(call, subscription["customer"], subscription["currency"], amount)
    price = item["price"]
    made.update(
        description=text,
        discountable=False,
        parent={
            "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
            "type": "subscription_details",
        },
        period={"end": period[1], "start": period[0]},
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": None,
        },
        proration=True,
        proration_details={"credited_items": None, "discount_amounts": []},
        quantity=item["quantity"],
        quantity_decimal=str(item["quantity"]),
        _subscription=subscription["id"],
        _item=item["id"],
    )
    return made


def blank_item(call: Call, customer: str, currency: str, amount: int) -> Obj:
    """An invoice item that belongs to no subscription yet."""
    now = call.now()
    return {
        "id": call.id("ii"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "date": now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "net_amount": amount,
        "parent": None,
        "period": {"end": now, "start": now},
        "pricing": None,
        "proration": False,
        "proration_details": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
    }


def of_invoice_item(call: Call, item: Obj) -> Obj:
    """The line that an invoice item becomes."""
    price = call.get("price", item["pricing"]["price_details"]["price"])
    if item.get("_subscription"):
        parent = of_item(item["_subscription"], item["_item"], item["id"], item["proration"])
        parent["subscription_item_details"]["proration_details"] = {"credited_items": item.get("_credited")}
    else:
        details = {
            "invoice_item": item["id"],
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": None,
        }
        parent = {
            "invoice_item_details": details,
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    period = (item["period"]["start"], item["period"]["end"])
    made = line(call, price, item["amount"], item["quantity"], period, item["description"], parent)
    made.update(discountable=item["discountable"], discounts=list(item["discounts"]))
    made["metadata"] = dict(item["metadata"])
    made["pricing"] = dict(item["pricing"])
    return made


def pending(call: Call, customer: str, subscription: str | None) -> list[Obj]:
    """Invoice items that wait for an invoice: of one subscription and those that no subscription owns."""
    found = call.engine.store.select("invoiceitem", "customer = ?", (customer,), "asc")
    return [
        item
        for item in found
        if item["invoice"] is None and item.get("_subscription") in (None, subscription)
    ]
