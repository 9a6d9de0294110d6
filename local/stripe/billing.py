"""Subscriptions as far as Checkout and renewals need them, with invoices, payments and events."""

from __future__ import annotations

from local.stripe import charging, invoices
from local.stripe.engine import Call
from local.stripe.errors import StripeError, invalid
from local.stripe.objects import payment_intent
from local.stripe.resources.payment_methods import attach_to
from local.stripe.routing import changed
from local.stripe.store import Obj, public


def first_payment(call: Call, session: Obj) -> Obj:
    """The PaymentIntent of a subscription's first invoice, kept between attempts."""
    known = call.engine.store.get("payment_intent", session.get("_intent", ""))
    if known:
        return known
    pi = payment_intent(call, session["amount_total"], session["currency"])
    pi.update(
        customer=session["customer"], setup_future_usage="off_session", description="Subscription creation"
    )
    pi["_session"] = session["id"]
    session["_intent"] = pi["id"]
    call.put(pi)
    call.emit("payment_intent.created", pi)
    return pi


def begin(call: Call, session: Obj, pi: Obj) -> None:
    """The first payment succeeded: the subscription starts."""
    pm = call.get("payment_method", pi["payment_method"])
    if pm["customer"] is None:
        attach_to(call, pm, session["customer"])
    subscription = invoices.subscription(call, session, pm["id"])
    invoice = invoices.invoice(call, subscription, "subscription_create")
    subscription["latest_invoice"] = invoice["id"]
    call.put(subscription)
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    call.emit("customer.subscription.created", subscription)
    _paid(call, invoice, pi)


def renew(call: Call, id: str, amount: int | None = None, billing_reason: str = "subscription_cycle") -> Obj:
    """Bill the next cycle, or (`subscription_update`) a proration within this one; answers the invoice.

    A subscription that was to end with its cycle ends instead, and is answered itself.
    """
    subscription = call.get("subscription", id)
    if subscription["status"] not in ("active", "past_due"):
        raise invalid(f"Subscription {id} has a status of {subscription['status']}.")
    if subscription["cancel_at_period_end"] and billing_reason == "subscription_cycle":
        return end(call, subscription)
    before = public(subscription)
    item = subscription["items"]["data"][0]
    if billing_reason == "subscription_cycle":
        length = item["current_period_end"] - item["current_period_start"]
        item.update(
            current_period_start=item["current_period_end"],
            current_period_end=item["current_period_end"] + length,
        )
    invoice = invoices.invoice(call, subscription, billing_reason, amount)
    subscription["latest_invoice"] = invoice["id"]
    call.put(subscription)
    if invoice["amount_due"] == 0:
        _paid(call, invoice, None)
    else:
        _collect(call, subscription, invoice)
    call.emit("customer.subscription.updated", subscription, changed(before, subscription))
    return invoice


def end_with_cycle(call: Call, subscription: Obj, ends: bool) -> Obj:
    """Let the subscription end when its cycle does, or go on after all (docs.stripe.com/billing/subscriptions/cancel)."""
    if subscription["status"] == "canceled":
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    before = public(subscription)
    subscription.update(
        cancel_at_period_end=ends,
        cancel_at=subscription["items"]["data"][0]["current_period_end"] if ends else None,
        canceled_at=call.now() if ends else None,
        cancellation_details={
            "comment": None,
            "feedback": None,
            "reason": "cancellation_requested" if ends else None,
        },
    )
    call.put(subscription)
    call.emit("customer.subscription.updated", subscription, changed(before, subscription))
    return subscription


def end(call: Call, subscription: Obj) -> Obj:
    """The subscription is over now."""
    now = call.now()
    subscription.update(status="canceled", canceled_at=subscription["canceled_at"] or now, ended_at=now)
    subscription["cancellation_details"]["reason"] = "cancellation_requested"
    call.put(subscription)
    call.emit("customer.subscription.deleted", subscription)
    return subscription


def _collect(call: Call, subscription: Obj, invoice: Obj) -> None:
    pi = payment_intent(call, invoice["amount_due"], invoice["currency"])
    pi.update(customer=subscription["customer"], description="Subscription update", payment_method=None)
    call.put(pi)
    call.emit("payment_intent.created", pi)
    pm = call.get("payment_method", subscription["default_payment_method"])
    try:
        charging.pay(call, pi, pm, charging.Attempt(off_session=True))
    except StripeError as error:
        if not error.declined:
            raise
        invoice.update(attempt_count=1, attempted=True)
        subscription["status"] = "past_due"
        call.put(invoice)
        call.put(subscription)
        call.emit("invoice.payment_failed", invoice)
        return
    subscription["status"] = "active"
    call.put(subscription)
    _paid(call, invoice, pi)


def _paid(call: Call, invoice: Obj, pi: Obj | None) -> None:
    before = public(invoice)
    invoice.update(status="paid", amount_paid=invoice["amount_due"], amount_remaining=0, attempted=True)
    invoice["attempt_count"] = 1 if pi else 0
    invoice["status_transitions"]["paid_at"] = call.now()
    call.put(invoice)
    call.emit("invoice.updated", invoice, changed(before, invoice))
    call.emit("invoice.paid", invoice)
    call.emit("invoice.payment_succeeded", invoice)
    if pi:
        payment: Obj = {
            "id": call.id("inpay"),
            "object": "invoice_payment",
            "amount_paid": invoice["amount_due"],
            "amount_requested": invoice["amount_due"],
            "created": call.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": pi["id"], "type": "payment_intent"},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": call.now()},
        }
        call.put(payment)
        call.emit("invoice_payment.paid", payment)
