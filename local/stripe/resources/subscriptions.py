"""Reading subscriptions, invoices and invoice payments; Checkout and renewals make them (`billing.py`)."""

from __future__ import annotations

from typing import Any

from local.stripe.engine import Call
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
    subscription = call.get("subscription", subscription_exposed_id)
    now = call.now()
    subscription.update(status="canceled", canceled_at=now, ended_at=now)
    subscription["cancellation_details"]["reason"] = "cancellation_requested"
    call.put(subscription)
    call.emit("customer.subscription.deleted", subscription)
    return subscription
