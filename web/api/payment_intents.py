"""Buying a package in the platform's own page, with Stripe.js instead of Checkout."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from pydantic import Field

from web import idempotency, purchases
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, Text


class NewPaymentIntent(Body):
    """A package to buy. Its price is the catalogue's."""

    account_id: Text | None = None
    package_id: Text
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1


class PaymentIntent(Answer):
    """What Stripe.js needs. `id` names the payment; the secret is for the buyer's browser alone."""

    id: str
    client_secret: str
    amount: int
    currency: str


@Endpoint(
    "POST",
    "/api/create-payment-intent",
    summary="Buy a package with Stripe.js",
    tag="billing",
    scope="admin",
    member_role="admin",
    body=NewPaymentIntent,
    example={"account_id": "acme", "package_id": "credits_250", "quantity": 1},
    answer=PaymentIntent,
    statuses=(201,),
    errors=(
        "unknown_package",
        "unknown_account",
        "account_required",
        "topup_in_flight",
        "rate_limited",
        "idempotency_key_reused",
        "idempotency_key_expired",
        "invalid_idempotency_key",
        "request_in_flight",
        "stripe_unavailable",
        "stripe_busy",
    ),
)
def create(call: Call) -> Response:
    """Opens a purchase that can be paid for an hour, or until a top-up is charged; the card is kept for later charges.

    With an Idempotency-Key a repeat answers the same payment.
    """
    body: NewPaymentIntent = call.body
    account_id = call.account_id(body.account_id)
    call.limit("payment_intent")

    def run(attempt: idempotency.Attempt) -> Response:
        payment, secret = purchases.open_intent(
            call.services,
            payment_id=attempt.id("pay"),
            account_id=account_id,
            package_id=body.package_id,
            quantity=body.quantity,
        )
        attempt.lasts = purchases.seconds_left(payment["created_at"])
        return call.respond({**payment, "client_secret": secret}, 201)

    return idempotency.once(call.services.ledger, call.caller, body.model_dump(), run, makes="pay")
