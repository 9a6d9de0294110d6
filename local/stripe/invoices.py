"""Subscriptions and invoices as whole objects. `billing.py` says when they are made."""

from __future__ import annotations

from typing import Any

from local.stripe.engine import Call
from local.stripe.lists import whole
from local.stripe.routing import merge_metadata
from local.stripe.store import Obj

_SECONDS = {"day": 86400, "week": 7 * 86400, "month": 30 * 86400, "year": 365 * 86400}

_SUBSCRIPTION_NULLS = (
    "application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at "
    "canceled_at customer_account days_until_due default_source description ended_at latest_invoice "
    "next_pending_invoice_item_invoice on_behalf_of pause_collection pending_invoice_item_interval "
    "pending_setup_intent pending_update schedule test_clock transfer_data trial_end trial_start"
)

_NO_TAX = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}
_PAYMENT_SETTINGS = ("default_mandate", "payment_method_options", "payment_method_types")
_INVOICE_NULLS = (
    "account_tax_ids application automatically_finalizes_at custom_fields customer_account "
    "customer_address customer_name customer_phone customer_shipping default_payment_method "
    "default_source description due_date ending_balance footer from_invoice last_finalization_error "
    "latest_revision next_payment_attempt on_behalf_of receipt_number rendering shipping_cost "
    "shipping_details statement_descriptor test_clock webhooks_delivered_at"
)


def subscription(call: Call, session: Obj, pm: str) -> Obj:
    now = call.now()
    id = call.id("sub")
    subscription: Obj = {
        **dict.fromkeys(_SUBSCRIPTION_NULLS.split()),
        "id": id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {"flexible": None, "type": "flexible"},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": session["currency"],
        "customer": session["customer"],
        "default_payment_method": pm,
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": whole(
            [_item(call, id, line) for line in session["_items"]], f"/v1/subscription_items?subscription={id}"
        ),
        "livemode": False,
        "metadata": {},
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "start_date": now,
        "status": "active",
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }
    merge_metadata(subscription, session["_subscription_data"])
    return subscription


def _item(call: Call, subscription: str, line: Obj) -> Obj:
    recurring = line["price"]["recurring"] or {"interval": "month", "interval_count": 1}
    now = call.now()
    return {
        "id": call.id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": now + _SECONDS[recurring["interval"]] * recurring["interval_count"],
        "current_period_start": now,
        "discounts": [],
        "metadata": {},
        "plan": _plan(line["price"], recurring),
        "price": line["price"],
        "quantity": line["quantity"],
        "subscription": subscription,
        "tax_rates": [],
    }


def _plan(price: Obj, recurring: dict[str, Any]) -> Obj:
    copied = {
        name: price[name]
        for name in ("id", "active", "billing_scheme", "created", "currency", "metadata", "nickname")
    }
    return {
        **copied,
        "object": "plan",
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "meter": None,
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def invoice(call: Call, subscription: Obj, reason: str, amount: int | None = None) -> Obj:
    id = call.id("in")
    lines = [_line(call, id, subscription, item, reason, amount) for item in subscription["items"]["data"]]
    total = sum(line["amount"] for line in lines)
    period = lines[0]["period"]
    customer = call.get("customer", subscription["customer"])
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    invoice: Obj = {
        **dict.fromkeys(_INVOICE_NULLS.split()),
        "id": id,
        "object": "invoice",
        "account_country": "US",
        "account_name": call.engine.config.merchant,
        "amount_due": total,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": total,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": dict(_NO_TAX),
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": call.now(),
        "currency": subscription["currency"],
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [],
        "effective_at": call.now(),
        "hosted_invoice_url": f"{call.engine.config.public_url}/invoices/{id}",
        "invoice_pdf": f"{call.engine.config.public_url}/invoices/{id}/pdf",
        "issuer": {"type": "self"},
        "lines": whole(lines, f"/v1/invoices/{id}/lines"),
        "livemode": False,
        "metadata": {},
        "number": f"{customer['invoice_prefix']}-{call.engine.store.count('invoice') + 1:04d}",
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "payment_settings": dict.fromkeys(_PAYMENT_SETTINGS),
        "period_end": period["start"],
        "period_start": period["start"],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "open",
        "status_transitions": {
            "finalized_at": call.now(),
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_discount_amounts": [],
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    }
    call.put(invoice)
    call.emit("invoice.created", invoice)
    call.emit("invoice.finalized", invoice)
    return invoice


def _line(call: Call, invoice: str, subscription: Obj, item: Obj, reason: str, amount: int | None) -> Obj:
    price = item["price"]
    due = price["unit_amount"] * item["quantity"] if amount is None else amount
    proration = reason == "subscription_update"
    parent = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    start = call.now() if proration else item["current_period_start"]
    return {
        "id": call.id("il"),
        "object": "line_item",
        "amount": due,
        "currency": subscription["currency"],
        "description": f"{item['quantity']} x {call.get('product', price['product'])['name']}",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": subscription["metadata"],
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": parent,
            "type": "subscription_item_details",
        },
        "period": {"end": item["current_period_end"], "start": start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "subtotal": due,
        "taxes": [],
    }
