"""What the ledger is told of Stripe's objects: a few facts out of large answers."""

from __future__ import annotations

from typing import Any

StripeData = dict[str, Any]


def facts_of_intent(intent: StripeData, *, checkout_session: str | None = None) -> StripeData:
    """The facts for ledger.settle_payment from a PaymentIntent of this gateway. occurred_at: epoch seconds.

    `saved`: the card may be charged off session again: it was saved so and is still attached, or this was such a charge.
    """
    charge = _expanded(intent.get("latest_charge"))
    method = _expanded(intent.get("payment_method"))
    details = charge.get("payment_method_details") or {}
    card = method.get("card") or details.get("card")
    metadata = intent.get("metadata") or {}
    saved = intent.get("setup_future_usage") == "off_session" and id_of(method.get("customer")) is not None
    return {
        "payment_intent": intent["id"],
        "customer": id_of(intent.get("customer")),
        "amount_received": intent.get("amount_received"),
        "currency": intent.get("currency"),
        "charge": id_of(intent.get("latest_charge")),
        "receipt_url": charge.get("receipt_url"),
        "occurred_at": charge.get("created") or intent.get("created"),
        "payment_method": id_of(intent.get("payment_method")) or id_of(charge.get("payment_method")),
        "card": card_facts(card) if card else None,
        "saved": saved or "refill_topup_id" in metadata,
        "checkout_session": checkout_session,
    }


def facts_of_session(session: StripeData) -> StripeData:
    """The facts for ledger.settle_payment from a Checkout Session that is paid, or that a promotion code made free.

    A free one has no PaymentIntent. discount: what codes took off; amount_total: what Stripe asked for then, in minor units
    (docs.stripe.com/api/checkout/sessions/object).
    """
    totals = {
        "checkout_session": session["id"],
        "discount": (session.get("total_details") or {}).get("amount_discount") or 0,
        "amount_total": session.get("amount_total"),
    }
    intent = session.get("payment_intent")
    if isinstance(intent, dict):
        return {**facts_of_intent(intent), **totals}
    return {
        "payment_intent": None,
        "customer": id_of(session.get("customer")),
        "amount_received": session.get("amount_total"),
        "currency": session.get("currency"),
        "charge": None,
        "receipt_url": None,
        "occurred_at": session.get("created"),
        "payment_method": None,
        "card": None,
        "saved": False,
        **totals,
    }


def card_facts(card: StripeData) -> StripeData:
    """What is kept of a card: never a number."""
    return {name: card.get(name) for name in ("brand", "last4", "exp_month", "exp_year", "fingerprint")}


def facts_of_method(method: StripeData) -> StripeData:
    """What is kept of a payment method; brand is the kind of one that is no card."""
    kind = str(method.get("type"))
    details = _expanded(method.get(kind))
    return {"id": method["id"], **card_facts(details), "brand": details.get("brand") or kind}


def facts_of_reversals(found: StripeData) -> StripeData:
    """The facts for ledger.reverse_payment from StripeGateway.list_reversals. created: epoch seconds.

    `withdrawn`: the balance transactions of a dispute take more than they gave back; an inquiry has none
    (docs.stripe.com/api/disputes/object).
    """
    return {
        "refunds": [_reversal(refund) for refund in found["refunds"]],
        "disputes": [
            {
                **_reversal(dispute),
                "withdrawn": sum(moved["amount"] for moved in dispute.get("balance_transactions") or ()) < 0,
            }
            for dispute in found["disputes"]
        ],
    }


def _reversal(item: StripeData) -> StripeData:
    return {name: item.get(name) for name in ("id", "amount", "status", "reason", "created")}


def _expanded(value: Any) -> StripeData:
    return value if isinstance(value, dict) else {}


def id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None
