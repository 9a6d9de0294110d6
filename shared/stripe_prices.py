"""Prices at Stripe: what a plan's price is there, what an invoice line's whole period costs, what is charged next."""

from __future__ import annotations

import logging
from typing import Any

import stripe

from shared.ledger import Ledger
from shared.stripe_client import StripeForbidden, StripeRefused, translated
from shared.stripe_facts import StripeData, id_of

log = logging.getLogger(__name__)


def retrieve_prices(
    client: stripe.StripeClient, invoice: StripeData, subscription: StripeData | None
) -> dict[str, StripeData]:
    """The prices of the invoice's lines that cost something, by id: a line does not say what a whole period costs, nor how
    long it is. Those of the subscription's items are known. A price that Stripe does not show is left out, and its lines go
    by the plan's own cycle.
    """
    items = subscription["items"]["data"] if subscription else ()
    found: dict[str, StripeData] = {item["price"]["id"]: item["price"] for item in items}
    for line in invoice["lines"]["data"]:
        price_id = id_of(((line.get("pricing") or {}).get("price_details") or {}).get("price"))
        if price_id is None or price_id in found or line["amount"] <= 0:
            continue
        try:
            found[price_id] = retrieve_price(client, price_id)
        except StripeRefused as error:
            if error.stripe_code != "resource_missing":
                raise
    return found


def retrieve_price(client: stripe.StripeClient, price_id: str) -> StripeData:
    """The price as it is now. Its amount, currency and interval never change (docs.stripe.com/api/prices/update)."""
    with translated():
        return client.v1.prices.retrieve(price_id).to_dict()


def needs_preview(subscription: StripeData) -> bool:
    """Whether only Stripe knows what the next invoice charges: coupons and taxes are not in the items' prices."""
    tax = (subscription.get("automatic_tax") or {}).get("enabled") or subscription.get("default_tax_rates")
    items = subscription["items"]["data"]
    return bool(
        subscription.get("discounts")
        or tax
        or any(item.get("discounts") or item.get("tax_rates") for item in items)
    )


def preview_next(client: stripe.StripeClient, subscription_id: str) -> StripeData | None:
    """What the next invoice charges (`amount`, after discounts, tax and the customer's balance) and what coupons take off it
    (`discount`), minor units. None: Stripe makes no next invoice (`invoice_upcoming_none`), or refuses the preview.
    """
    try:
        with translated():
            preview = client.v1.invoices.create_preview({"subscription": subscription_id}).to_dict()
    except (StripeRefused, StripeForbidden) as error:
        log.warning(
            "no preview of the next invoice",
            extra={"subscription": subscription_id, "code": error.stripe_code},
        )
        return None
    discounts = sum(found["amount"] for found in preview.get("total_discount_amounts") or ())
    return {"amount": preview["amount_due"], "discount": discounts or None}


def facts_of_price(price_id: str, price: StripeData | None, *, live: bool) -> StripeData:
    """The facts for ledger.note_plan_price. None: Stripe does not know the price, as one of another mode."""
    if price is None:
        return {"id": price_id, "missing": True}
    recurring = price.get("recurring") or {}
    return {
        "id": price_id,
        "missing": False,
        "active": bool(price.get("active")),
        "same_mode": bool(price.get("livemode")) == live,
        "type": price.get("type"),
        "product": id_of(price.get("product")),
        "unit_amount": decimal_text(price.get("unit_amount_decimal")),
        "currency": price.get("currency"),
        **{name: recurring.get(name) for name in ("interval", "interval_count", "usage_type")},
    }


def compare_plan(
    client: stripe.StripeClient, ledger: Ledger, plan_id: str, price_id: str, *, live: bool
) -> str | None:
    """Has the ledger compare a plan's row with its price at Stripe. Answers in what they disagree, or None.
    Raises StripeUnavailable, StripeBusy, StripeForbidden.
    """
    price = None
    try:
        price = retrieve_price(client, price_id)
    except StripeRefused as error:
        if error.stripe_code != "resource_missing":
            raise
    return ledger.note_plan_price(plan_id, facts_of_price(price_id, price, live=live))


def decimal_text(value: Any) -> str | None:
    """A decimal of Stripe as text: JSON would make it a float."""
    return None if value is None else str(value)
