"""Buying, and what was bought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import Field, model_validator

from shared import pay_links
from shared.settings import Settings
from web import idempotency, purchases, subscriptions
from web.api.catalogue import charged, with_price
from web.api.queries import Page, PageQuery, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, Charged, CreditsOut, MoneyOut, Text
from web.members import allows


class NewCheckout(Body):
    """A package to buy, or a plan to subscribe to. The price is the catalogue's; redirects stay on this server.

    Without addresses of yours Checkout leads back to pages that tell what became of it and need no sign-in here.
    """

    account_id: Text | None = None
    package_id: Text | None = None
    plan_id: Text | None = None
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    success_url: Annotated[str, Field(max_length=2000)] | None = None
    cancel_url: Annotated[str, Field(max_length=2000)] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> NewCheckout:
        if (self.package_id is None) == (self.plan_id is None):
            raise ValueError("name either a package_id or a plan_id")
        if self.plan_id is not None and self.quantity != 1:
            raise ValueError("a plan is subscribed to once")
        return self


class Checkout(Answer):
    """A Checkout Session to send the buyer to. `id` names the payment, or the checkout of a plan; `credits`: of a cycle."""

    id: str
    url: str
    credits: CreditsOut
    price: MoneyOut


class PaymentOut(Charged):
    """A payment, and how it stands."""

    id: str
    purpose: Literal["purchase", "topup"]
    package_id: str | None
    quantity: int
    credits: CreditsOut
    discount: Annotated[
        MoneyOut,
        Field(
            description="What promotion codes took off, known once it is paid. `total` is what was paid then, and `price`"
            " the credits' share of it."
        ),
    ]
    status: str
    reason: str | None
    receipt_url: str | None
    topup_id: str | None
    pay_url: Annotated[
        str | None,
        Field(
            description="Where the card holder confirms it, while the bank asks for that; valid for 24 hours. Only for"
            " keys of scope `admin` and for admins: whoever has it may charge the saved card."
        ),
    ]
    created_at: str
    paid_at: str | None


class PaymentPage(Page):
    """A page of payments."""

    data: list[PaymentOut]


@Endpoint(
    "POST",
    "/api/billing/checkout-sessions",
    summary="Buy a package, or subscribe to a plan, through Stripe Checkout",
    tag="billing",
    scope="admin",
    member_role="admin",
    body=NewCheckout,
    example={"account_id": "acme", "package_id": "credits_250", "quantity": 1},
    answer=Checkout,
    statuses=(201,),
    errors=(
        "unknown_package",
        "unknown_account",
        "account_required",
        "not_found",
        "state_conflict",
        "plan_price_mismatch",
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
def open_checkout(call: Call) -> Response:
    """Opens a purchase or a subscription and answers where to pay it.

    An account has one subscription; its credits come with every paid invoice. With an Idempotency-Key a repeat
    answers the same session.
    """
    body: NewCheckout = call.body
    account_id = call.account_id(body.account_id)
    call.limit("checkout")

    def run(attempt: idempotency.Attempt) -> Response:
        if body.package_id is None:
            return _subscribe(call, attempt, account_id)
        payment_id = attempt.id("pay")
        success_url, cancel_url = _return_urls(call, payment_id)
        payment = purchases.open_checkout(
            call.services,
            payment_id=payment_id,
            account_id=account_id,
            package_id=body.package_id,
            quantity=body.quantity,
            success_url=success_url,
            cancel_url=cancel_url,
        )
        attempt.lasts = purchases.seconds_left(payment["created_at"])
        return call.respond({**charged(dict(payment)), "url": payment["checkout_url"]}, 201)

    makes = "subc" if body.package_id is None else "pay"
    return idempotency.once(call.services.ledger, call.caller, body.model_dump(), run, makes=makes)


def _subscribe(call: Call, attempt: idempotency.Attempt, account_id: str) -> Response:
    body: NewCheckout = call.body
    checkout_id = attempt.id("subc")
    success_url, cancel_url = _return_urls(call, checkout_id)
    checkout = subscriptions.open_checkout(
        call.services,
        checkout_id=checkout_id,
        account_id=account_id,
        plan_id=body.plan_id or "",
        success_url=success_url,
        cancel_url=cancel_url,
    )
    attempt.lasts = purchases.seconds_left(checkout["created_at"])
    answer = {
        **with_price(dict(checkout)),
        "credits": checkout["credits_per_cycle"],
        "url": checkout["checkout_url"],
    }
    return call.respond(answer, 201)


def _return_urls(call: Call, subject_id: str) -> tuple[str, str]:
    """Where Checkout leads back to: the caller's addresses, else signed ones: other front ends' buyers have no cookie."""
    body: NewCheckout = call.body
    home = pay_links.return_url(call.services.settings, subject_id)
    # An empty address is a wrong one, to be refused later on.
    return (
        home if body.success_url is None else body.success_url,
        f"{home}/canceled" if body.cancel_url is None else body.cancel_url,
    )


@Endpoint(
    "GET",
    "/api/billing/payments",
    summary="Payments with receipt links, newest first",
    tag="billing",
    scope="read",
    member_role="member",
    query=PageQuery,
    answer=PaymentPage,
    errors=("unknown_account", "account_required", "not_found"),
)
def payments(call: Call) -> Any:
    """Purchases and top-ups with their state and Stripe's receipt."""
    page = call.services.ledger.list_payments(account_of(call), call.query.limit, call.query.cursor)
    shown = may_pay(call)
    return {
        **page,
        "data": [
            charged(row)
            | {
                "discount": {"amount": row["discount"], "currency": row["currency"]},
                "pay_url": pay_url(call.services.settings, row) if shown else None,
            }
            for row in page["data"]
        ],
    }


def may_pay(call: Call) -> bool:
    """Who may open a purchase may see where one is confirmed."""
    if call.member is None:
        return call.key is not None and "admin" in call.key["scopes"]
    return allows(call.services.memberships.resolve(call.member.user_id, call.account, "member")[1], "admin")


def pay_url(settings: Settings, row: Mapping[str, Any]) -> str | None:
    """Where the card holder confirms a payment that waits for that."""
    return pay_links.pay_url(settings, row["id"]) if row["action_required"] else None
