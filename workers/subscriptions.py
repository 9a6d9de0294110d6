"""Subscriptions and invoices: each event is a hint to read the object at Stripe again, and to tell the ledger.

Events come in any order: whichever comes first, the newest state is what is read. An invoice brings its subscription with
it, so that either event alone is enough.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

from shared import stripe_notes, stripe_prices
from shared import stripe_subscriptions as at_stripe
from shared.errors import StripeUnavailable
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_facts import StripeData, id_of
from workers.app import App

log = logging.getLogger(__name__)

READINGS_MAX = 5
OVER: Final = ("canceled", "incomplete_expired")

End = tuple[Literal["done", "ignored", "parked"], str | None]
"""How an event ends, and why."""
NOT_OURS: Final[End] = ("ignored", "not_ours")


def subscription_changed(app: App, subject: StripeData) -> End:
    """What customer.subscription.created, updated and deleted are about."""
    if not _is_ours(app, subject):
        return NOT_OURS
    return follow_subscription(app, subject["id"])


def invoice_changed(app: App, subject: StripeData) -> End:
    """What invoice.finalized, paid, payment_failed and voided are about."""
    if not _is_ours(app, subject):
        return NOT_OURS
    return follow_invoice(app, subject["id"])


def follow_subscription(app: App, subscription_id: str) -> End:
    """Mirrors a subscription as it is now."""
    return _read_subscription(app, subscription_id)[0]


def _read_subscription(app: App, subscription_id: str) -> tuple[End, StripeData]:
    """Mirrors a subscription as it is now. Somebody else's reading in between makes ours old: then it is read again."""
    for _ in range(READINGS_MAX):
        version = app.ledger.get_mirror_version(subscription_id)
        subscription = at_stripe.retrieve_subscription(app.gateway.client, subscription_id)
        preview = None
        if stripe_prices.needs_preview(subscription) and subscription.get("status") not in OVER:
            preview = stripe_prices.preview_next(app.gateway.client, subscription_id)
        facts = at_stripe.facts_of_subscription(subscription, preview)
        outcome = app.ledger.mirror_subscription(version, facts)["outcome"]
        if outcome != "stale":
            return _end(outcome), subscription
    raise StripeUnavailable("the subscription kept changing while it was read; try again")


def follow_invoice(app: App, invoice_id: str) -> End:
    """Mirrors an invoice as it is now, and grants what a paid one grants; reconciliation may call it as well."""
    for _ in range(READINGS_MAX):
        version = app.ledger.get_mirror_version(invoice_id)
        invoice = at_stripe.retrieve_invoice(app.gateway.client, invoice_id)
        if invoice.get("status") == "paid":
            return _paid(app, invoice)
        facts = at_stripe.facts_of_invoice(invoice)
        outcome = app.ledger.mirror_invoice(version, facts)["outcome"]
        if outcome != "stale":
            return _end(outcome)
    raise StripeUnavailable("the invoice kept changing while it was read; try again")


def check_plans(app: App) -> dict[str, str]:
    """Compares every plan on offer that sells a price of Stripe with that price. Answers the plans that disagree, and in
    what. One that cannot be read now is left to the next run.
    """
    found: dict[str, str] = {}
    for plan in app.ledger.list_plan_prices():
        try:
            mismatch = stripe_prices.compare_plan(
                app.gateway.client,
                app.ledger,
                plan["id"],
                plan["stripe_price_id"],
                live=app.settings.live,
            )
        except (StripeUnavailable, StripeBusy, StripeRefused) as error:
            stripe_notes.report(app.ledger, error)
            log.warning("a plan's price was not read", extra={"plan": plan["id"], "code": error.code})
            continue
        if mismatch is not None:
            found[plan["id"]] = mismatch
            log.error("plan and price differ", extra={"plan": plan["id"], "reason": mismatch})
    return found


def check_subscription(app: App, checkout_id: str) -> None:
    """Asks Stripe what became of a checkout of a plan whose buyer is back, in case no webhook tells.

    Stripe's events repeat what this finds, and reconciliation finds what both missed; so a failure is logged, no more.
    """
    checkout = app.ledger.get_subscription_checkout(checkout_id)
    if checkout is None or checkout["state"] != "open" or checkout["stripe_checkout_session_id"] is None:
        return
    end: End | None = None
    try:
        session = app.gateway.retrieve_session(checkout["stripe_checkout_session_id"])
        subscription, invoice = id_of(session.get("subscription")), id_of(session.get("invoice"))
        if subscription is not None:
            end = follow_subscription(app, subscription)
        if invoice is not None:
            end = follow_invoice(app, invoice)
    except (StripeUnavailable, StripeBusy, StripeRefused) as error:
        stripe_notes.report(app.ledger, error, checkout["account_id"])
        log.warning("checkout of a plan not checked", extra={"checkout": checkout_id, "code": error.code})
        return
    log.info("checkout of a plan checked", extra={"checkout": checkout_id, "end": end})


def _paid(app: App, invoice: StripeData) -> End:
    subscription_id = at_stripe.facts_of_invoice(invoice)["subscription"]
    subscription = None if subscription_id is None else _read_subscription(app, subscription_id)[1]
    prices = stripe_prices.retrieve_prices(app.gateway.client, invoice, subscription)
    facts = at_stripe.facts_of_invoice(invoice, prices)
    granted = app.ledger.grant_invoice(facts)
    if granted["credits"]:
        log.info(
            "subscription credits granted",
            extra={"invoice": facts["id"], "account": granted["account_id"], "credits": granted["credits"]},
        )
    return _end(granted["outcome"])


def _is_ours(app: App, subject: StripeData) -> bool:
    """Other customers' objects are not even read: an account at Stripe may sell more than Refill does."""
    customer = id_of(subject.get("customer"))
    return customer is not None and app.ledger.find_customer_account(customer) is not None


def _end(outcome: str) -> End:
    if outcome == "not_ours":
        return NOT_OURS
    if outcome == "unexplained":
        return "parked", "paid_without_credits"
    return ("parked", "account_mismatch") if outcome == "parked" else ("done", None)
