"""The rows of what operators decide, as Python sees them; see shared/models.py."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


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
