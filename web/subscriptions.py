"""Subscribing to a plan: the row first, then Stripe. Refill never changes a subscription after that."""

from __future__ import annotations

from shared import stripe_prices
from shared import stripe_subscriptions as at_stripe
from shared.customers import with_customer
from shared.errors import Refused
from shared.stripe_client import StripeRefused
from shared.stripe_creation import CHECKOUT_LIFETIME, age_of
from shared.subscription_models import SubscriptionCheckout
from web import idempotency
from web.purchases import own_url
from web.services import Services


def open_checkout(
    services: Services,
    *,
    checkout_id: str,
    account_id: str,
    plan_id: str,
    success_url: str | None,
    cancel_url: str | None,
) -> SubscriptionCheckout:
    """The checkout with its Session's address. A repeat with the same checkout_id answers the same Session.

    Only the newest Session of an account can be paid: those before it are closed first, and an address is handed out
    only while no newer checkout exists. So two subscriptions cannot be bought side by side.
    """
    home = f"{services.settings.base_url}/billing"
    success_url = own_url(services, success_url, "success_url") or home
    cancel_url = own_url(services, cancel_url, "cancel_url") or home
    ledger = services.ledger
    plan = next((plan for plan in ledger.list_plans() if plan["id"] == plan_id and plan["amount"] > 0), None)
    if plan is None:
        # Before a customer is made for nothing; open_subscription looks again.
        raise Refused(
            "There is no such plan to buy. GET /api/billing/plans lists them.", code="not_found", status=404
        )
    if plan["stripe_price_id"] is not None:
        # What is shown and what Stripe charges are compared each time; open_subscription refuses what disagrees.
        stripe_prices.compare_plan(
            services.gateway.client,
            ledger,
            plan_id,
            plan["stripe_price_id"],
            live=services.settings.live,
        )

    def open_at(customer_id: str) -> SubscriptionCheckout:
        checkout = ledger.open_subscription(checkout_id, account_id, plan_id, customer_id)
        if checkout["checkout_url"]:
            if age_of(checkout["created_at"]) >= CHECKOUT_LIFETIME:
                raise idempotency.expired()
            return checkout
        for session_id in checkout["former"]:
            _close(services, session_id)
        session = at_stripe.create_subscription_checkout(
            services.gateway.client, checkout, success_url=success_url, cancel_url=cancel_url
        )
        return ledger.attach_subscription_session(checkout_id, session["id"], session["url"])

    return with_customer(ledger, services.gateway, account_id, open_at)


def _close(services: Services, session_id: str) -> None:
    try:
        services.gateway.expire_session(session_id)
    except StripeRefused:
        if services.gateway.retrieve_session(session_id)["status"] != "expired":
            raise Refused(
                "A subscription was just paid for; it will be shown in a moment.",
                code="state_conflict",
                status=409,
            ) from None
