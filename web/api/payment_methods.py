"""Saved cards: adding, choosing, removing, and Stripe's own portal for them."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from pydantic import Field, StringConstraints

from web import cards, idempotency, purchases
from web.api.queries import AccountQuery, Page, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, Text

# A SetupIntent is for the browser that has the form open; Stripe's link to the portal opens for five minutes.
SETUP_SECONDS = 3600
PORTAL_SECONDS = 240
_STRIPE = ("unknown_account", "account_required", "stripe_unavailable", "stripe_busy")
_ONCE = ("rate_limited", "idempotency_key_reused", "invalid_idempotency_key", "request_in_flight")


class OfAccount(Body):
    """Names the account; a key that is bound to one may leave it out."""

    account_id: Text | None = None


class MethodPath(Body):
    """A payment method by Stripe's id."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,255}$")]


class NewPortalSession(OfAccount):
    """Where the portal's link back leads: a path of this server."""

    return_path: Annotated[str, Field(max_length=2000, pattern=r"^/([^/\\]|$)", examples=["/billing"])] = (
        "/billing"
    )


class SetupIntent(Answer):
    """Confirm it in the browser with Stripe.js. The secret is for that browser alone."""

    id: str
    client_secret: str


class PaymentMethod(Answer):
    """A saved payment method. `brand` is the kind of one that is no card."""

    id: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    default: bool


class PaymentMethodPage(Page):
    """All saved payment methods."""

    data: list[PaymentMethod]


class PortalSession(Answer):
    """A link that opens Stripe's Billing Portal for a few minutes."""

    url: str


@Endpoint(
    "POST",
    "/api/billing/setup-intents",
    summary="Add a card",
    tag="payment methods",
    scope="admin",
    member_role="owner",
    body=OfAccount,
    body_optional=True,
    example={"account_id": "acme"},
    answer=SetupIntent,
    statuses=(201,),
    errors=(*_STRIPE, *_ONCE),
)
def add(call: Call) -> Response:
    """A SetupIntent that saves a card for charges while nobody is there.

    The card becomes the default when there is none, or when the present one is why auto top-up is paused.
    """
    body: OfAccount = call.body
    account_id = call.account_id(body.account_id)
    call.limit("setup")

    def run(attempt: idempotency.Attempt) -> Response:
        attempt.lasts = SETUP_SECONDS
        return call.respond(cards.begin_setup(call.services, account_id, attempt.id("setup")), 201)

    return idempotency.once(call.services.ledger, call.caller, body.model_dump(), run, renews=True)


@Endpoint(
    "GET",
    "/api/billing/payment-methods",
    summary="Saved cards, the default first",
    tag="payment methods",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=PaymentMethodPage,
    errors=("unknown_account", "account_required"),
)
def index(call: Call) -> Any:
    """What Stripe's events and these calls have told of the account's cards."""
    return _listed(call, account_of(call))


@Endpoint(
    "POST",
    "/api/billing/payment-methods/{id}/default",
    summary="Charge this card from now on",
    tag="payment methods",
    scope="admin",
    member_role="owner",
    params=MethodPath,
    body=OfAccount,
    body_optional=True,
    example={"account_id": "acme"},
    answer=PaymentMethodPage,
    errors=(*_STRIPE, "not_found"),
)
def choose(call: Call) -> Any:
    """Another card than the one that was declined re-arms auto top-up; nothing that is off is switched on."""
    account_id = call.account_id(call.body.account_id)
    cards.choose(call.services, account_id, call.params.id, call.actor)
    return _listed(call, account_id)


@Endpoint(
    "DELETE",
    "/api/billing/payment-methods/{id}",
    summary="Remove a card",
    tag="payment methods",
    scope="admin",
    member_role="owner",
    params=MethodPath,
    query=AccountQuery,
    answer=PaymentMethodPage,
    errors=(*_STRIPE, "not_found"),
)
def remove(call: Call) -> Any:
    """Detaches it at Stripe for good. Without the default auto top-up pauses; no other card takes its place by itself."""
    account_id = account_of(call)
    cards.remove(call.services, account_id, call.params.id, call.actor)
    return _listed(call, account_id)


@Endpoint(
    "POST",
    "/api/billing/portal-sessions",
    summary="Open Stripe's Billing Portal",
    tag="payment methods",
    scope="admin",
    member_role="owner",
    body=NewPortalSession,
    body_optional=True,
    example={"account_id": "acme", "return_path": "/billing"},
    answer=PortalSession,
    statuses=(201,),
    errors=(*_STRIPE, *_ONCE),
)
def portal(call: Call) -> Response:
    """Cards, receipts and invoices at Stripe. The way back leads to a page of this server only."""
    body: NewPortalSession = call.body
    account_id = call.account_id(body.account_id)
    purchases.own_url(call.services, call.services.settings.base_url + body.return_path, "return_path")
    call.limit("portal")

    def run(attempt: idempotency.Attempt) -> Response:
        attempt.lasts = PORTAL_SECONDS
        return call.respond(cards.open_portal(call.services, account_id, body.return_path), 201)

    return idempotency.once(call.services.ledger, call.caller, body.model_dump(), run, renews=True)


def _listed(call: Call, account_id: str) -> Any:
    return {"data": call.services.ledger.list_payment_methods(account_id), "next_cursor": None}
