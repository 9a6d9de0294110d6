"""Invoices as whole objects: blank ones, their lines, discounts and totals. `collection.py` has them paid."""

from __future__ import annotations

from typing import Any

from local.stripe import discounts
from local.stripe.engine import Call
from local.stripe.lists import whole
from local.stripe.store import Obj

_PAGE = 10
_NO_TAX = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}
_PAYMENT_SETTINGS = ("default_mandate", "payment_method_options", "payment_method_types")
_INVOICE_NULLS = (
    "account_tax_ids application automatically_finalizes_at custom_fields customer_account "
    "customer_address customer_phone customer_shipping default_payment_method "
    "default_source description due_date effective_at ending_balance footer from_invoice hosted_invoice_url "
    "invoice_pdf last_finalization_error latest_revision next_payment_attempt number on_behalf_of "
    "receipt_number rendering shipping_cost shipping_details statement_descriptor test_clock"
)


def make(
    call: Call,
    customer: Obj,
    currency: str,
    reason: str,
    subscription: Obj | None = None,
    found: list[Obj] | None = None,
    period: tuple[int, int] | None = None,
) -> Obj:
    """A draft with lines and totals, stored. `period` is what the invoice looks back at."""
    invoice = _blank(call, customer, currency, reason)
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        invoice["parent"] = {
            "quote_details": None,
            "subscription_details": details,
            "type": "subscription_details",
        }
        invoice["_subscription"] = subscription["id"]
        invoice["collection_method"] = subscription["collection_method"]
        current = discounts.in_force(call, subscription["discounts"], call.now())
        invoice["discounts"] = [discount["id"] for discount in current]
    if period:
        invoice.update(period_start=period[0], period_end=period[1])
    add_lines(call, invoice, found or [])
    return invoice


def add_lines(call: Call, invoice: Obj, found: list[Obj]) -> None:
    """Put lines on a draft and count it up again."""
    for one in found:
        one["invoice"] = invoice["id"]
    invoice["_lines"] = [*invoice.get("_lines", []), *found]
    total_up(call, invoice)
    call.put(invoice)


def total_up(call: Call, invoice: Obj) -> None:
    """Discounts of lines first, then those of the invoice; then the totals. Credits are never discounted."""
    found = invoice["_lines"]
    for one in found:
        one.update(discount_amounts=[], pretax_credit_amounts=[])
    off: dict[str, int] = {}
    for one in found:
        for id in one["discounts"]:
            _take(call, call.get("discount", id), [one], off)
    subtotal = sum(net(one) for one in found)
    for id in invoice["discounts"]:
        _take(call, call.get("discount", id), [one for one in found if one["discountable"]], off)
    total = sum(net(one) for one in found)
    amounts = [{"amount": amount, "discount": id} for id, amount in off.items()]
    due = max(total, 0)
    invoice.update(
        amount_due=due,
        amount_remaining=due,
        lines=page_of(invoice),
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal,
        total=total,
        total_discount_amounts=amounts,
        total_excluding_tax=total,
        total_pretax_credit_amounts=[{**one, "type": "discount"} for one in amounts],
    )


def _take(call: Call, discount: Obj, found: list[Obj], off: dict[str, int]) -> None:
    products = [one["pricing"]["price_details"]["product"] for one in found]
    for one, amount in zip(
        found, discounts.taken(call, discount, [net(one) for one in found], products), strict=True
    ):
        taken = {"amount": amount, "discount": discount["id"]}
        one["discount_amounts"].append(taken)
        one["pretax_credit_amounts"].append({**taken, "type": "discount"})
        off[discount["id"]] = off.get(discount["id"], 0) + amount


def net(line: Obj) -> int:
    """What a line costs after discounts."""
    return int(line["amount"]) - sum(int(taken["amount"]) for taken in line["discount_amounts"])


def page_of(invoice: Obj) -> Obj:
    """The first lines, as the invoice itself shows them; `GET …/lines` has the rest."""
    found = invoice["_lines"]
    page = whole(found[:_PAGE], f"/v1/invoices/{invoice['id']}/lines")
    return {**page, "has_more": len(found) > _PAGE}


def _blank(call: Call, customer: Obj, currency: str, reason: str) -> Obj:
    id, now = call.id("in"), call.now()
    return {
        **dict.fromkeys(_INVOICE_NULLS.split()),
        "id": id,
        "object": "invoice",
        "account_country": "US",
        "account_name": call.engine.config.merchant,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": dict(_NO_TAX),
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "lines": whole([], f"/v1/invoices/{id}/lines"),
        "livemode": False,
        "metadata": {},
        "parent": None,
        "payment_settings": dict.fromkeys(_PAYMENT_SETTINGS),
        "period_end": now,
        "period_start": now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": _transitions(),
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": customer["test_clock"],
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": now,
        "_lines": [],
    }


def _transitions() -> dict[str, Any]:
    return dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"))
