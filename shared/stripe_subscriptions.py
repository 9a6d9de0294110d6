"""Subscriptions and invoices at Stripe: selling one through Checkout, reading both, and the facts that the ledger is told.

Nothing here changes a subscription: customers do that in Stripe's Billing Portal, operators in the Dashboard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import stripe

from shared import keys
from shared.stripe_creation import create_session, session_end
from shared.stripe_errors import StripeRefused, translated
from shared.stripe_facts import StripeData, id_of
from shared.stripe_prices import decimal_text, needs_preview
from shared.subscription_models import SubscriptionCheckout

LINES_PAGE = 100


def create_subscription_checkout(
    client: stripe.StripeClient, checkout: SubscriptionCheckout, *, success_url: str, cancel_url: str
) -> StripeData:
    """A hosted Checkout Session for a subscription, at the plan's price at Stripe, else at our row's amount."""
    metadata = {
        "refill_account_id": checkout["account_id"],
        "refill_plan_id": checkout["plan_id"],
        "refill_checkout_id": checkout["id"],
    }
    params: StripeData = {
        "mode": "subscription",
        "ui_mode": "hosted_page",
        "customer": checkout["stripe_customer_id"],
        "client_reference_id": checkout["id"],
        "line_items": [{"quantity": 1, **_price(client, checkout)}],
        "subscription_data": {"metadata": metadata},
        "metadata": metadata,
        "expires_at": session_end(checkout["created_at"]),
        "success_url": success_url,
        "cancel_url": cancel_url,
    }
    return create_session(client, keys.checkout_create(checkout["id"]), params)


def _price(client: stripe.StripeClient, checkout: SubscriptionCheckout) -> StripeData:
    if checkout["stripe_price_id"] is not None:
        return {"price": checkout["stripe_price_id"]}
    if checkout["own_product"]:
        _ensure_product(client, checkout["product"], checkout["plan_name"])
    return {
        "price_data": {
            "currency": checkout["currency"],
            "unit_amount": checkout["amount"],
            "product": checkout["product"],
            "recurring": {
                "interval": checkout["billing_interval"],
                "interval_count": checkout["interval_count"],
            },
        }
    }


def _ensure_product(client: stripe.StripeClient, product_id: str, name: str) -> None:
    """A product under an id of ours, by which invoice lines are recognised; one that exists stays as it is."""
    try:
        with translated():
            client.v1.products.create({"id": product_id, "name": name})
    except StripeRefused as error:
        if error.stripe_code != "resource_already_exists":
            raise


def retrieve_subscription(client: stripe.StripeClient, subscription_id: str) -> StripeData:
    """The subscription as it is now."""
    with translated():
        return client.v1.subscriptions.retrieve(subscription_id).to_dict()


def retrieve_invoice(client: stripe.StripeClient, invoice_id: str) -> StripeData:
    """The invoice as it is now, with all of its lines."""
    with translated():
        invoice = client.v1.invoices.retrieve(invoice_id).to_dict()
        if invoice["lines"]["has_more"]:
            lines = client.v1.invoices.line_items.list(invoice_id, {"limit": LINES_PAGE})
            invoice["lines"]["data"] = [line.to_dict() for line in lines.auto_paging_iter()]
    return invoice


def invoices_of_intent(client: stripe.StripeClient, intent_id: str) -> list[str]:
    """The invoices that a PaymentIntent pays. Since `basil` only invoice payments say so; one may pay several
    (docs.stripe.com/api/invoice-payment).
    """
    query: Any = {"payment": {"type": "payment_intent", "payment_intent": intent_id}, "limit": LINES_PAGE}
    return _parts(client, query, lambda payment: id_of(payment["invoice"]))


def intents_of_invoice(client: stripe.StripeClient, invoice_id: str) -> list[str]:
    """The PaymentIntents that pay an invoice: more than one when it is paid in parts."""
    query: Any = {"invoice": invoice_id, "limit": LINES_PAGE}
    return _parts(client, query, lambda payment: id_of(payment["payment"].get("payment_intent")))


def _parts(client: stripe.StripeClient, query: Any, part: Callable[[StripeData], str | None]) -> list[str]:
    with translated():
        payments = client.v1.invoice_payments.list(query).auto_paging_iter()
        return sorted({found for payment in payments if (found := part(payment.to_dict()))})


def facts_of_subscription(subscription: StripeData, preview: StripeData | None = None) -> StripeData:
    """The facts for ledger.mirror_subscription. Times are epoch seconds; periods stand on the items since `basil`.
    preview: of preview_next, where needs_preview says so.
    """
    metadata = subscription.get("metadata") or {}
    return {
        "id": subscription["id"],
        "customer": id_of(subscription.get("customer")),
        "account": metadata.get("refill_account_id"),
        "checkout": metadata.get("refill_checkout_id"),
        **{
            name: subscription.get(name)
            for name in ("status", "cancel_at_period_end", "cancel_at", "ended_at", "created", "trial_end")
        },
        "paused": (subscription.get("pause_collection") or {}).get("behavior"),
        "needs_preview": needs_preview(subscription),
        "preview": preview,
        "items": [
            {
                "price": id_of(item.get("price")),
                "product": id_of((item.get("price") or {}).get("product")),
                "quantity": item.get("quantity"),
                "currency": (item.get("price") or {}).get("currency"),
                "unit_amount": decimal_text((item.get("price") or {}).get("unit_amount_decimal")),
                "interval": ((item.get("price") or {}).get("recurring") or {}).get("interval"),
                "interval_count": ((item.get("price") or {}).get("recurring") or {}).get("interval_count"),
                "period_start": item.get("current_period_start"),
                "period_end": item.get("current_period_end"),
            }
            for item in subscription["items"]["data"]
        ],
    }


def facts_of_invoice(invoice: StripeData, prices: dict[str, StripeData] | None = None) -> StripeData:
    """The facts for ledger.mirror_invoice and grant_invoice. Times are epoch seconds, money minor units. prices: those of
    retrieve_prices, which only a paid invoice needs.

    The period is that of the cycle that is billed: an invoice's own is the one that is over (docs.stripe.com/api/invoices).
    """
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    lines = [_line(line, prices or {}) for line in invoice["lines"]["data"]]
    cycle = next((line for line in lines if line["subscription"] and not line["proration"]), None)
    return {
        "id": invoice["id"],
        "customer": id_of(invoice.get("customer")),
        "account": (details.get("metadata") or {}).get("refill_account_id"),
        "subscription": id_of(details.get("subscription")),
        **{
            name: invoice.get(name)
            for name in (
                "status",
                "billing_reason",
                "amount_due",
                "amount_paid",
                "total",
                "ending_balance",
                "currency",
                "number",
                "created",
            )
        },
        "hosted_url": invoice.get("hosted_invoice_url"),
        "pdf_url": invoice.get("invoice_pdf"),
        "paid_at": (invoice.get("status_transitions") or {}).get("paid_at"),
        "period_start": cycle["period_start"] if cycle else invoice.get("period_start"),
        "period_end": cycle["period_end"] if cycle else invoice.get("period_end"),
        "lines": lines,
    }


def _line(line: StripeData, prices: dict[str, StripeData]) -> StripeData:
    """`subscription` only of a line that a subscription's item or a pending proration of one made: other lines sell no
    cycle. Tax that a price includes is in a line's amount; its discounts and other taxes are not
    (docs.stripe.com/api/invoice-line-item/object).
    """
    parent = line.get("parent") or {}
    item = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    details = (line.get("pricing") or {}).get("price_details") or {}
    price = prices.get(id_of(details.get("price")) or "", {})
    recurring = price.get("recurring") or {}
    discounts = sum(discount["amount"] for discount in line.get("discount_amounts") or ())
    included = sum(tax["amount"] for tax in line.get("taxes") or () if tax.get("tax_behavior") == "inclusive")
    credited = (item.get("proration_details") or {}).get("credited_items") or {}
    return {
        "id": line["id"],
        "price": id_of(details.get("price")),
        "product": id_of(details.get("product")),
        "subscription": id_of(item.get("subscription")),
        "proration": bool(item.get("proration")),
        "credited": credited.get("invoice_line_items") or None,
        "quantity": line["quantity"] if line.get("quantity") is not None else 1,
        "amount": line["amount"] - discounts - included,
        "gross": line["amount"],
        "discount_inside": bool(line.get("discounts")) and not discounts,
        "unit_amount": decimal_text(price.get("unit_amount_decimal")),
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "usage_type": recurring.get("usage_type"),
        "period_start": line["period"]["start"],
        "period_end": line["period"]["end"],
    }
