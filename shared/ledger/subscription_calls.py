"""Subscriptions, their invoices, and what those grant. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls, Page
from shared.subscription_models import (
    CheckoutState,
    InvoiceGrant,
    Mirrored,
    Subscription,
    SubscriptionCheckout,
)


class SubscriptionCalls(Calls):
    """Subscriptions, their invoices, and what those grant."""

    def open_subscription(
        self, checkout_id: str, account_id: str, plan_id: str, customer_id: str
    ) -> SubscriptionCheckout:
        """Freezes the plan that is subscribed to before Stripe is asked. Refused: unknown_account, not_found (no such
        plan), invalid_value (a free plan), state_conflict (the account has a subscription), plan_price_mismatch.
        """
        return self._call(
            "open_subscription",
            p_id=checkout_id,
            p_account_id=account_id,
            p_plan_id=plan_id,
            p_customer_id=customer_id,
        )

    def attach_subscription_session(
        self, checkout_id: str, session_id: str, url: str
    ) -> SubscriptionCheckout:
        """Stores the Checkout Session of a subscription. Refused: not_found, state_conflict (a newer checkout)."""
        return self._call("attach_subscription_session", p_id=checkout_id, p_session_id=session_id, p_url=url)

    def get_subscription_checkout(self, checkout_id: str) -> CheckoutState | None:
        """How a checkout of a plan stands, or None."""
        return self._call("get_subscription_checkout", p_id=checkout_id)

    def find_customer_account(self, stripe_customer_id: str) -> str | None:
        """The account of a Stripe customer, deleted ones too; None when it is not ours."""
        return self._call("find_customer_account", p_stripe_customer_id=stripe_customer_id)

    def get_mirror_version(self, stripe_id: str) -> int:
        """The version of a mirrored subscription (sub_…) or invoice (in_…), to be asked before Stripe is read; 0: none."""
        return self._call("get_mirror_version", p_stripe_id=stripe_id)

    def mirror_subscription(self, version: int, facts: dict[str, Any]) -> Mirrored:
        """Keeps a reading of a subscription. facts: shared.stripe_subscriptions.facts_of_subscription. Outcome stale asks
        to read again; parked: its metadata names another account than its customer's.
        """
        return self._call("mirror_subscription", p_version=version, p_facts=Json(facts))

    def mirror_invoice(self, version: int, facts: dict[str, Any]) -> Mirrored:
        """Keeps a reading of an invoice; grants nothing. facts: shared.stripe_subscriptions.facts_of_invoice."""
        return self._call("mirror_invoice", p_version=version, p_facts=Json(facts))

    def grant_invoice(self, facts: dict[str, Any]) -> InvoiceGrant:
        """Mirrors a paid invoice and grants its lines, each once, for ever; the same facts may be told by anybody again.
        Refused invalid_value (a line of more than 1,000 million credits).
        """
        return self._call("grant_invoice", p_facts=Json(facts))

    def grant_portions(self, limit: int) -> int:
        """Grants the portions of paid cycles that are due, of up to `limit` accounts; answers how many it touched."""
        return int(self._call("grant_portions", p_limit=limit))

    def list_plan_prices(self) -> list[dict[str, Any]]:
        """The plans on offer that sell a price of Stripe: id, stripe_price_id."""
        return self._call("list_plan_prices")

    def note_plan_price(self, plan_id: str, price: dict[str, Any]) -> str | None:
        """Keeps what Stripe says of a plan's price; operators are notified once of a disagreement. price:
        shared.stripe_prices.facts_of_price. Answers in what they disagree, or None.
        """
        return self._call("note_plan_price", p_plan_id=plan_id, p_price=Json(price))

    def get_subscription(self, account_id: str) -> Subscription | None:
        """The account's subscription to a plan, ended ones too, with its plan; None: never. Refused unknown_account."""
        return self._call("get_subscription", p_account_id=account_id)

    def list_invoices(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """The account's invoices, newest first. Refused: unknown_account, not_found (cursor)."""
        return self._call("list_invoices", p_account_id=account_id, p_limit=limit, p_cursor=cursor)
