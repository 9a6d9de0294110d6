"""The rows of subscriptions and invoices that the SQL functions answer, as Python sees them; as in shared/models.py."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Interval = Literal["day", "week", "month", "year"]


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
    billing_interval: Interval
    interval_count: int
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
    """get_subscription. status is Stripe's; credits_per_cycle: of its plan now, times the quantity. amount: of one unit at
    Stripe, None where its price has no single one. items: as in mirror_subscription. next_amount: what is charged next,
    after the customer's balance; None: nothing, or only Stripe knows. discount_amount: what coupons take off it.
    """

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
    amount: int | None
    currency: str
    interval: Interval
    interval_count: int
    price_id: str | None
    items: list[dict[str, Any]] | None
    paused: str | None
    trial_end: str | None
    next_amount: int | None
    next_at: str | None
    discount_amount: int | None
    credits_expire: bool
    rollover_cap: int | None
