"""The rows of reconciliation, as Python sees them; see shared/models.py."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class NotCompared(TypedDict):
    """What a run could not look at, and why."""

    what: str
    reason: str


class Reconciliation(TypedDict):
    """A run: open_reconciliation, claim_reconciliation, save_reconciliation, get_reconciliation (with differences)."""

    id: str
    kind: Literal["hourly", "nightly", "manual"]
    depth: Literal["created", "open", "all"]
    since: str
    until: str
    state: Literal["running", "done", "failed"]
    step: str
    cursor: str | None
    counts: dict[str, int]
    reason: str | None
    claims: int
    not_compared: list[NotCompared]
    created_at: str
    finished_at: str | None
    differences: NotRequired[int]


class Finding(TypedDict):
    """compare_*: an object of Stripe's that the books do not have so."""

    id: str
    account_id: str | None
    payment_id: NotRequired[str]
    intent: NotRequired[str]
    reason: NotRequired[str]
