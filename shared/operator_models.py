"""The rows of what operators decide, as Python sees them; see shared/models.py."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from shared.models import Hold, Payment, Topup


class Adjustment(TypedDict):
    """request_adjustment, decide_adjustment (with topup_due), list_adjustments: one that needs a second operator."""

    id: str
    account_id: str
    credits: int
    reason: str
    state: Literal["waiting", "approved", "rejected"]
    requested_by: str
    requester: str
    created_at: str
    decider: str | None
    note: str | None
    decided_at: str | None
    topup_due: NotRequired[bool]


class Hit(TypedDict):
    """One thing that search_records found. kind says which page shows it; fields of the account are None without one."""

    kind: Literal["account", "payment", "event", "hold", "entry"]
    id: str
    account_id: str | None
    state: str | None
    name: str | None
    email: str | None
    status: str | None
    balance: int | None


class Search(TypedDict):
    """search_records. by_key: the text was an id; more: there are more hits than asked for."""

    by_key: bool
    more: bool
    hits: list[Hit]


class RecentPayment(Payment):
    """list_recent_payments."""

    account_name: str


class Balance(TypedDict):
    """Whose a payment is."""

    account_id: str
    name: str
    email: str | None
    status: str
    balance: int


class BookedAdjustment(TypedDict):
    """What was given under a payment's id."""

    entry_id: int
    credits: int
    created_at: str


class InspectedPayment(Payment):
    """inspect_payment. entry_id: the ledger's entry that granted it; adjustment, requested: booked under its id, or kept for
    a second operator.
    """

    account: Balance
    topup: Topup | None
    events: list[dict[str, Any]]
    reversals: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    entry_id: int | None
    adjustment: BookedAdjustment | None
    requested: Adjustment | None


class OpenHold(Hold):
    """list_open_holds. overdue: its time is up, and the sweep has not been there yet."""

    account_name: str
    overdue: bool


class PausedTopup(TypedDict):
    """list_paused_topups. failing_since: the first decline since a charge last succeeded."""

    account_id: str
    name: str
    paused_reason: str
    failing_since: str | None
    declines: int
    balance: int
    status: str


class Freeze(TypedDict):
    """list_freezes: an open dispute or inquiry, or the end of a grace (id grace). lifted_at: an operator lifted it."""

    id: str
    kind: Literal["dispute", "inquiry", "grace"]
    status: str | None
    amount: int | None
    currency: str | None
    payment_id: str | None
    invoice_id: str | None
    reason: str | None
    since: str
    frozen: bool
    lifted_at: str | None
    lifted_by: str | None
    lift_reason: str | None


class Unfrozen(TypedDict):
    """unfreeze_account: the account, the ids that were lifted, and what is left."""

    account_id: str
    status: str
    lifted: list[str]
    freezes: list[Freeze]
