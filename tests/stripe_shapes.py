"""Invoices as Stripe answers them, trimmed to the fields that decide what is granted.

CHANGE_OF_INTERVAL is a trimmed copy of traffic that pay-rails/pay (MIT License) recorded from api.stripe.com in test mode
(test/vcr_cassettes/stripe_can_swap_a_subscription, API 2025-10-29.clover): a monthly subscription of 25 dollars that
becomes a yearly one of 250 dollars four seconds later. The other shapes follow it.
"""

from __future__ import annotations

import copy
from typing import Any

Json = dict[str, Any]

_MONTHLY = {"price": "small-monthly", "product": "prod_EYTX7RYhRjcwKD"}
_YEARLY = {"price": "small-annual", "product": "prod_EYTX7RYhRjcwKD"}

CHANGE_OF_INTERVAL: Json = {
    "id": "in_1SRzq3KXBGcbgpbZInUxyXNS",
    "object": "invoice",
    "amount_due": 22500,
    "amount_paid": 22500,
    "billing_reason": "subscription_update",
    "created": 1762799355,
    "currency": "usd",
    "customer": "cus_TOnQXxIJoBFbC5",
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "number": "AGDWDOYW-0002",
    "parent": {
        "quote_details": None,
        "subscription_details": {"metadata": {}, "subscription": "sub_1SRzpzKXBGcbgpbZdGbiyyMi"},
        "type": "subscription_details",
    },
    "period_end": 1762799355,
    "period_start": 1762799351,
    "starting_balance": 0,
    "status": "paid",
    "status_transitions": {"paid_at": 1762799356},
    "subtotal": 22500,
    "total": 22500,
    "lines": {
        "object": "list",
        "has_more": False,
        "data": [
            {
                "id": "il_1SRzq3KXBGcbgpbZgQJgPXPX",
                "object": "line_item",
                "amount": -2500,
                "currency": "usd",
                "description": "Unused time on Test Subscription after 10 Nov 2025",
                "discount_amounts": [],
                "discountable": False,
                "discounts": [],
                "parent": {
                    "invoice_item_details": None,
                    "subscription_item_details": {
                        "invoice_item": "ii_1SRzq3KXBGcbgpbZPj85zUSf",
                        "proration": True,
                        "proration_details": {
                            "credited_items": {
                                "invoice": "in_1SRzpzKXBGcbgpbZhJQectzF",
                                "invoice_line_items": ["il_1SRzpzKXBGcbgpbZMzejrUlL"],
                            }
                        },
                        "subscription": "sub_1SRzpzKXBGcbgpbZdGbiyyMi",
                        "subscription_item": "si_TOnQinO102U9En",
                    },
                    "type": "subscription_item_details",
                },
                "period": {"end": 1765391351, "start": 1762799355},
                "pricing": {
                    "price_details": _MONTHLY,
                    "type": "price_details",
                    "unit_amount_decimal": None,
                },
                "quantity": 1,
                "taxes": [],
            },
            {
                "id": "il_1SRzq4KXBGcbgpbZnrLSvH2d",
                "object": "line_item",
                "amount": 25000,
                "currency": "usd",
                "description": "Remaining time on Test Subscription after 10 Nov 2025",
                "discount_amounts": [],
                "discountable": False,
                "discounts": [],
                "parent": {
                    "invoice_item_details": None,
                    "subscription_item_details": {
                        "invoice_item": "ii_1SRzq3KXBGcbgpbZqJCh7kNQ",
                        "proration": True,
                        "proration_details": {"credited_items": None},
                        "subscription": "sub_1SRzpzKXBGcbgpbZdGbiyyMi",
                        "subscription_item": "si_TOnQinO102U9En",
                    },
                    "type": "subscription_item_details",
                },
                "period": {"end": 1794335351, "start": 1762799355},
                "pricing": {"price_details": _YEARLY, "type": "price_details", "unit_amount_decimal": None},
                "quantity": 1,
                "taxes": [],
            },
        ],
    },
}


def price(
    name: str, amount: int | None, interval: str = "month", count: int = 1, currency: str = "usd", **more: Any
) -> Json:
    """A recurring price."""
    recurring = {"interval": interval, "interval_count": count, "usage_type": "licensed"}
    return {
        "id": name,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "currency": currency,
        "livemode": False,
        "product": "prod_EYTX7RYhRjcwKD",
        "recurring": recurring,
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": None if amount is None else str(amount),
    } | more


PRICES: Json = {
    "small-monthly": price("small-monthly", 2500),
    "small-annual": price("small-annual", 25000, "year"),
}


def line(name: str, amount: int, price_id: str, start: int, end: int, **more: Any) -> Json:
    """A line of the subscription; credits: the lines that it credits, pending: made by create_prorations before, and swept
    into a later invoice (its parent is an invoice item then).
    """
    shape = copy.deepcopy(CHANGE_OF_INTERVAL["lines"]["data"][0])
    details = shape["parent"]["subscription_item_details"]
    credits = more.pop("credits", None)
    details["proration"] = more.pop("proration", False)
    details["proration_details"] = {
        "credited_items": {"invoice": "in_former", "invoice_line_items": credits} if credits else None
    }
    if more.pop("pending", False):
        shape["parent"] = {
            "invoice_item_details": details,
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    shape["pricing"]["price_details"] = {"price": price_id, "product": "prod_EYTX7RYhRjcwKD"}
    return shape | {"id": name, "amount": amount, "period": {"start": start, "end": end}} | more


def invoice(name: str, *lines: Json, reason: str = "subscription_cycle", **more: Any) -> Json:
    """A paid invoice of these lines; total and amount_paid are their sum unless said."""
    shape = copy.deepcopy(CHANGE_OF_INTERVAL)
    total = sum(
        one["amount"] - sum(cut["amount"] for cut in one.get("discount_amounts") or ()) for one in lines
    )
    shape["lines"]["data"] = list(lines)
    paid = max(0, total)
    return (
        shape
        | {"id": name, "billing_reason": reason, "total": total, "amount_due": paid, "amount_paid": paid}
        | more
    )
