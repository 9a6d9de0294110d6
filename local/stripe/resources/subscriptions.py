"""Subscriptions, invoices and invoice payments; Checkout and renewals make them (`billing.py`)."""

from __future__ import annotations

from typing import Any

from local.stripe import billing
from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.lists import page, whole
from local.stripe.routing import route
from local.stripe.store import Obj


def _with_payments(call: Call, invoice: Obj) -> Obj:
    if not any(path.split(".")[0] == "payments" for path in call.params.get("expand", [])):
        return invoice
    found = call.engine.store.select(
        "invoice_payment", "json_extract(body, '$.invoice') = ?", (invoice["id"],)
    )
    return {**invoice, "payments": whole(found, f"/v1/invoice_payments?invoice={invoice['id']}")}


@route("get", "/v1/invoices/{invoice}")
def retrieve_invoice(call: Call, invoice: str) -> Obj:
    return _with_payments(call, call.get("invoice", invoice, "invoice"))


@route("get", "/v1/invoices")
def list_invoices(call: Call) -> Obj:
    return page(
        call,
        "invoice",
        "/v1/invoices",
        customer=call.params.get("customer"),
        status=call.params.get("status"),
    )


@route("get", "/v1/invoice_payments")
def list_invoice_payments(call: Call) -> Obj:
    params = call.params
    wanted: dict[str, Any] = params.get("payment") or {}
    equals = {f"payment.{name}": value for name, value in wanted.items()}
    return page(
        call,
        "invoice_payment",
        "/v1/invoice_payments",
        invoice=params.get("invoice"),
        status=params.get("status"),
        **equals,
    )


@route("get", "/v1/subscriptions/{subscription_exposed_id}")
def retrieve_subscription(call: Call, subscription_exposed_id: str) -> Obj:
    return call.get("subscription", subscription_exposed_id)


@route("get", "/v1/subscriptions")
def list_subscriptions(call: Call) -> Obj:
    status = call.params.get("status")
    status = None if status == "all" else status
    return page(
        call, "subscription", "/v1/subscriptions", customer=call.params.get("customer"), status=status
    )


@route("delete", "/v1/subscriptions/{subscription_exposed_id}")
def cancel_subscription(call: Call, subscription_exposed_id: str) -> Obj:
    return billing.end(call, call.get("subscription", subscription_exposed_id))


@route("post", "/v1/subscriptions/{subscription_exposed_id}")
def update_subscription(call: Call, subscription_exposed_id: str) -> Obj:
    """Only whether it ends with its cycle, which is what a customer changes in the portal."""
    subscription = call.get("subscription", subscription_exposed_id)
    others = sorted(set(call.params) - {"cancel_at_period_end", "expand"})
    if others:
        raise invalid(f"The local Stripe does not change {', '.join(others)} of a subscription.", others[0])
    if "cancel_at_period_end" not in call.params:
        return subscription
    return billing.end_with_cycle(call, subscription, call.params["cancel_at_period_end"])
