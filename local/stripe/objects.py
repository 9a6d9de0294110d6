"""Complete objects as Stripe answers them: all fields a caller may read, null where nothing is known."""

from __future__ import annotations

import hashlib
from typing import Any

from local.stripe.engine import Call
from local.stripe.store import Obj

_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}

ONLY_IN = {"us_bank_account": ("usd",), "cashapp": ("usd",), "sepa_debit": ("eur",)}
"""The currencies that a payment method type takes; what is not here takes all."""


def offered(currency: str) -> list[str]:
    """The types that the account's Dashboard settings offer for a currency."""
    return ["card", "link", *(kind for kind, only in sorted(ONLY_IN.items()) if currency in only)]


def billing_details(given: dict[str, Any] | None = None) -> dict[str, Any]:
    given = given or {}
    address = {**_ADDRESS, **(given.get("address") or {})}
    return {
        "address": address,
        "email": given.get("email"),
        "name": given.get("name"),
        "phone": given.get("phone"),
        "tax_id": None,
    }


def card_payment_method(
    call: Call, number: str, brand: str, expiry: tuple[int, int], billing: Any = None
) -> Obj:
    """A PaymentMethod of type card, attached to nobody."""
    networks = {"available": [brand], "preferred": None}
    return {
        "id": call.id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(billing),
        "card": {
            "brand": brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": brand,
            "exp_month": expiry[0],
            "exp_year": expiry[1],
            "fingerprint": hashlib.sha256(number.encode()).hexdigest()[:16],
            "funding": "credit",
            "generated_from": None,
            "last4": number[-4:],
            "networks": networks,
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": call.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def payment_intent(call: Call, amount: int, currency: str) -> Obj:
    """A PaymentIntent without payment method."""
    id = call.id("pi")
    return {
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{id}_secret_{call.engine.token(25)}",
        "confirmation_method": "automatic",
        "created": call.now(),
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": offered(currency),
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge_for(
    call: Call, pi: Obj, pm: Obj, status: str = "succeeded", paid: bool = True, captured: bool = True
) -> Obj:
    """A charge of a whole PaymentIntent by a card."""
    return {
        "id": call.id("ch"),
        "object": "charge",
        "amount": pi["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": pm["billing_details"],
        "calculated_statement_descriptor": "LOCAL TEST MERCHANT",
        "captured": captured,
        "created": call.now(),
        "currency": pi["currency"],
        "customer": pi["customer"],
        "description": pi["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(pi["metadata"]),
        "on_behalf_of": None,
        "outcome": _approved(),
        "paid": paid,
        "payment_intent": pi["id"],
        "payment_method": pm["id"],
        "payment_method_details": _method_details(pi, pm),
        "radar_options": {},
        "receipt_email": pi["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": pi["shipping"],
        "source": None,
        "source_transfer": None,
        "statement_descriptor": pi["statement_descriptor"],
        "statement_descriptor_suffix": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _method_details(pi: Obj, pm: Obj) -> dict[str, Any]:
    if pm["type"] == "card":
        return {"card": _card_details(pi, pm["card"]), "type": "card"}
    return {**pm["_details"], "type": pm["type"]}


def _approved() -> dict[str, Any]:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 7,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def _card_details(pi: Obj, card: Obj) -> dict[str, Any]:
    copied = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    )
    return {
        **{name: card[name] for name in copied},
        "amount_authorized": pi["amount"],
        "authorization_code": "822248",
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": "749857738210088",
        "overcapture": {"maximum_amount_capturable": pi["amount"], "status": "unavailable"},
        "three_d_secure": None,
        "wallet": None,
    }


def balance_transaction(call: Call, source: Obj, amount: int, type: str) -> Obj:
    """The movement on the account's balance; Stripe keeps its fee of a charge when it is refunded."""
    fee = (amount * 29 + 500) // 1000 + 30 if type == "charge" else 0
    detail = {"amount": fee, "application": None, "currency": source["currency"], "type": "stripe_fee"}
    return call.put(
        {
            "id": call.id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": call.now(),
            "balance_type": "payments",
            "created": call.now(),
            "currency": source["currency"],
            "description": source.get("description"),
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [{**detail, "description": "Stripe processing fees"}] if fee else [],
            "net": amount - fee,
            "reporting_category": "dispute" if type == "adjustment" else type,
            "source": source["id"],
            "status": "available",
            "type": type,
        }
    )
