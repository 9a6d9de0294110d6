"""The rows of subscriptions and invoices that the SQL functions answer, as Python sees them; as in shared/models.py."""

from __future__ import annotations

from typing import Literal, TypedDict


class SubscriptionCheckout(TypedDict):
    """open_subscription, attach_subscription_session. product: what to sell when there is no stripe_price_id; own_product:
    Refill makes it. former: Checkout Sessions before this one that may still be paid.
    """

    id: str
    account_id: str
    plan_id: str
    plan_name: str
    credits_per_cycle: int
    amount: int
    currency: str
    billing_interval: Literal["month", "year"]
    stripe_price_id: str | None
    product: str
    own_product: bool
    stripe_customer_id: str
    stripe_checkout_session_id: str | None
    checkout_url: str | None
    created_at: str
    former: list[str]


class CheckoutState(TypedDict):
    """get_subscription_checkout. open: it may still be paid, or Stripe was not heard of since; done: its plan is set up, and
    its first invoice has granted `credits`; over: nobody pays it any more.
    """

    id: str
    account_id: str
    plan_id: str
    plan_name: str
    stripe_checkout_session_id: str | None
    subscription_id: str | None
    checkout_url: str | None
    created_at: str
    state: Literal["open", "done", "over"]
    credits: int


class Mirrored(TypedDict):
    """mirror_subscription, mirror_invoice. stale: read Stripe again."""

    outcome: Literal["mirrored", "stale", "not_ours", "parked"]
    account_id: str | None


class InvoiceGrant(TypedDict):
    """grant_invoice. credits: granted by this call; nothing: it grants none, or has granted before; unexplained: a line of
    a plan was paid, and nothing says what it grants.
    """

    outcome: Literal["granted", "nothing", "unpaid", "not_ours", "parked", "unexplained"]
    account_id: str | None
    credits: int


class Subscription(TypedDict):
    """get_subscription. status is Stripe's; credits_per_cycle, amount: of its plan now, credits times the quantity."""

    id: str
    account_id: str
    plan: str
    plan_name: str
    status: str
    quantity: int
    current_period_start: str | None
    current_period_end: str | None
    cancel_at_period_end: bool
    cancel_at: str | None
    started_at: str
    ended_at: str | None
    credits_per_cycle: int
    amount: int
    currency: str
    interval: Literal["month", "year"]
    credits_expire: bool
    rollover_cap: int | None
