"""How an invoice is finalized and paid: by balance, by the default payment method, out of band, or not at all.

A paid or failed invoice moves its subscription (docs.stripe.com/billing/subscriptions/overview, "subscription
statuses"): incomplete or past due becomes active, a renewal that fails becomes past due.
"""

from __future__ import annotations

from typing import Any

from local.stripe import balances, charging
from local.stripe.engine import Call
from local.stripe.errors import StripeError, invalid
from local.stripe.objects import payment_intent
from local.stripe.routing import changed
from local.stripe.store import Obj, public

_DAY = 86400
RETRIES = (3 * _DAY, 5 * _DAY, 7 * _DAY)
"""Seconds until each further attempt; after the last one the subscription is canceled, Stripe's default."""


def finalize(call: Call, invoice: Obj, balance: bool = True) -> Obj:
    """The draft becomes open: number, customer balance (unless Checkout took the whole), amount due. Nothing due is paid."""
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    customer = call.get("customer", invoice["customer"])
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = number + 1
    if balance:
        balances.apply(call, invoice, customer)
    call.put(customer)
    url = f"{call.engine.config.public_url}/invoices/{invoice['id']}"
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{number:04d}",
        effective_at=call.now(),
        hosted_invoice_url=url,
        invoice_pdf=f"{url}/pdf",
        auto_advance=False,
        webhooks_delivered_at=call.now(),
    )
    invoice["status_transitions"]["finalized_at"] = call.now()
    call.put(invoice)
    call.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        settle(call, invoice, None)
    return invoice


def method_of(call: Call, invoice: Obj) -> str | None:
    """What an invoice is charged to: its own default, the subscription's, then the customer's."""
    subscription = _subscription(call, invoice) or {}
    customer = call.get("customer", invoice["customer"])
    found: str | None = (
        invoice["default_payment_method"]
        or subscription.get("default_payment_method")
        or customer["invoice_settings"]["default_payment_method"]
    )
    return found


def collect(
    call: Call, invoice: Obj, method: str | None = None, off_session: bool = True
) -> StripeError | None:
    """Charge an open invoice. The refusal of the card comes back; the invoice is open then, and may be retried."""
    if invoice["status"] != "open":
        return None
    used = method or method_of(call, invoice)
    if used is None:
        text = (
            "This customer has no attached payment source or default payment method. Please consider adding a "
            "default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/"
            "payment-methods-setting#payment-method-priority."
        )
        refusal = invalid(text, code="resource_missing")
        failed(call, invoice)
        return refusal
    pi = _intent(call, invoice)
    pm = call.get("payment_method", used, "payment_method", 400)
    try:
        charging.pay(call, pi, pm, charging.Attempt(off_session=off_session))
    except StripeError as error:
        if not error.declined:
            raise
        return error
    if pi["status"] == "requires_action":
        call.emit("invoice.payment_action_required", call.get("invoice", invoice["id"]))
    return None


def _intent(call: Call, invoice: Obj) -> Obj:
    """The invoice's PaymentIntent, one for all attempts, with its open invoice payment."""
    known = call.engine.store.get("payment_intent", invoice.get("_intent") or "")
    if known is not None:
        return known
    pi = payment_intent(call, invoice["amount_remaining"], invoice["currency"])
    first = invoice["billing_reason"] == "subscription_create"
    pi.update(
        customer=invoice["customer"],
        description="Subscription creation" if first else "Subscription update",
        setup_future_usage="off_session" if invoice.get("_subscription") else None,
        automatic_payment_methods=None,
        capture_method="automatic",
        payment_details={"customer_reference": None, "order_reference": invoice["id"]},
        _invoice=invoice["id"],
    )
    call.put(pi)
    call.emit("payment_intent.created", pi)
    invoice["_intent"] = pi["id"]
    call.put(invoice)
    open_payment(call, invoice, pi["id"])
    return pi


def open_payment(call: Call, invoice: Obj, intent: str) -> Obj:
    """The invoice payment that waits for a PaymentIntent."""
    return call.put(_payment(call, invoice, intent))


def _payment(call: Call, invoice: Obj, intent: str) -> Obj:
    return {
        "id": call.id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_remaining"],
        "created": call.now(),
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent, "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def payments(call: Call, invoice: str) -> list[Obj]:
    """All invoice payments of an invoice, newest first."""
    return call.engine.store.select("invoice_payment", "json_extract(body, '$.invoice') = ?", (invoice,))


def settle(call: Call, invoice: Obj, pi: Obj | None, out_of_band: bool = False) -> None:
    """The invoice is paid: by a PaymentIntent, by balance, or outside of Stripe. Its subscription goes on."""
    before = public(invoice)
    paid = 0 if out_of_band else invoice["amount_due"]
    invoice.update(
        status="paid",
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        attempted=True,
        next_payment_attempt=None,
    )
    invoice["attempt_count"] = max(invoice["attempt_count"], 1) if pi else invoice["attempt_count"]
    invoice["status_transitions"]["paid_at"] = call.now()
    call.put(invoice)
    call.emit("invoice.updated", invoice, changed(before, invoice))
    call.emit("invoice.paid", invoice)
    call.emit("invoice.payment_succeeded", invoice)
    if pi is not None:
        _settle_payment(call, invoice, pi, paid)
    elif out_of_band:
        _cancel_payments(call, invoice)
    _move_subscription(call, invoice, {"incomplete": "active", "past_due": "active", "unpaid": "active"})


def _settle_payment(call: Call, invoice: Obj, pi: Obj, paid: int) -> None:
    found = [one for one in payments(call, invoice["id"]) if one["payment"]["payment_intent"] == pi["id"]]
    payment = found[0] if found else _payment(call, {**invoice, "amount_remaining": paid}, pi["id"])
    payment.update(status="paid", amount_paid=paid)
    payment["status_transitions"]["paid_at"] = call.now()
    call.put(payment)
    call.emit("invoice_payment.paid", payment)


def _cancel_payments(call: Call, invoice: Obj) -> None:
    """Nothing more is to be charged: open payments and their PaymentIntents end."""
    for payment in payments(call, invoice["id"]):
        if payment["status"] != "open":
            continue
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = call.now()
        call.put(payment)
        pi = call.get("payment_intent", payment["payment"]["payment_intent"])
        if pi["status"].startswith("requires_"):
            pi.update(
                status="canceled",
                canceled_at=call.now(),
                cancellation_reason="void_invoice",
                next_action=None,
            )
            call.put(pi)
            call.emit("payment_intent.canceled", pi)


def failed(call: Call, invoice: Obj) -> None:
    """An attempt did not pay: count it, plan the next one, and move the subscription."""
    attempts = invoice["attempt_count"] + 1
    plan = RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
    first = invoice["billing_reason"] == "subscription_create"
    invoice.update(
        attempt_count=attempts,
        attempted=True,
        next_payment_attempt=call.now() + plan
        if plan and not first and invoice.get("_subscription")
        else None,
    )
    call.put(invoice)
    call.emit("invoice.payment_failed", invoice)
    _move_subscription(call, invoice, {"active": "incomplete" if first else "past_due"})


def end_unpaid(call: Call, invoice: Obj, status: str) -> Obj:
    """`void` or `uncollectible`: an open invoice that nobody will pay, or not be asked for."""
    allowed = ("open", "uncollectible") if status == "void" else ("open",)
    if invoice["status"] not in allowed:
        verb = "void" if status == "void" else "mark as uncollectible"
        raise invalid(
            f"You can only {verb} an open invoice. This invoice has a status of {invoice['status']}."
        )
    before = public(invoice)
    field = "voided_at" if status == "void" else "marked_uncollectible_at"
    invoice.update(status=status, next_payment_attempt=None)
    invoice["status_transitions"][field] = call.now()
    if status == "void":
        invoice["amount_remaining"] = invoice["amount_due"]
        _cancel_payments(call, invoice)
    call.put(invoice)
    call.emit("invoice.updated", invoice, changed(before, invoice))
    call.emit("invoice.voided" if status == "void" else "invoice.marked_uncollectible", invoice)
    if status == "void" and invoice["billing_reason"] == "subscription_create":
        _move_subscription(call, invoice, {"incomplete": "incomplete_expired"})
    return invoice


def _subscription(call: Call, invoice: Obj) -> Obj | None:
    return call.engine.store.get("subscription", invoice.get("_subscription") or "")


def _move_subscription(call: Call, invoice: Obj, moves: dict[str, str]) -> None:
    subscription = _subscription(call, invoice)
    if subscription is None or subscription["status"] not in moves:
        return
    if subscription["latest_invoice"] != invoice["id"]:
        return
    before: dict[str, Any] = public(subscription)
    subscription["status"] = moves[subscription["status"]]
    call.put(subscription)
    call.emit("customer.subscription.updated", subscription, changed(before, subscription))


def _follow(call: Call, pi: Obj) -> None:
    """A PaymentIntent of an invoice ended: the invoice is paid, or the attempt failed."""
    invoice = call.engine.store.get("invoice", pi.get("_invoice") or "")
    if invoice is None:
        return
    if pi["status"] == "succeeded" and invoice["status"] in ("open", "uncollectible"):
        settle(call, invoice, pi)
    elif pi["status"] == "requires_payment_method" and invoice["status"] == "open":
        if (pi["last_payment_error"] or {}).get("code") == "authentication_required":
            call.emit("invoice.payment_action_required", invoice)
        failed(call, invoice)


charging.FOLLOWERS.append(_follow)
