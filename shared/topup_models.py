"""A top-up as the SQL functions show it. Money is minor units, credits are micro-credits, times are ISO 8601."""

from __future__ import annotations

from typing import Literal, TypedDict

TopupState = Literal[
    "open", "processing", "succeeded", "declined", "action_required", "unknown", "canceling", "canceled"
]


class Topup(TypedDict):
    """A topups row joined with its payment, as the charging actor needs it."""

    id: str
    account_id: str
    payment_id: str
    state: TopupState
    credits: int
    amount: int
    net_amount: int
    currency: str
    stripe_customer_id: str
    payment_method: str
    stripe_payment_intent_id: str | None
    confirming: bool
    age_seconds: int
    reason: str | None
    decline_code: str | None
    advice_code: str | None
    ends_as: Literal["declined", "canceled"] | None
    created_at: str
    finished_at: str | None


class OpenTopup(TypedDict):
    """open_topup: the top-up to charge, or why there is none; open_topup_id also names one that was open before."""

    topup_id: str | None
    open_topup_id: str | None
    reason: str | None
    next_attempt_at: str | None


class Verdict(TypedDict):
    """begin_topup_charge: whether to confirm now. go=false: the top-up is canceled, or canceling if it was sent before."""

    go: bool
    reason: str | None
