"""The rows of added-up usage that the SQL functions answer, as Python sees them; as in shared/models.py."""

from __future__ import annotations

from typing import Literal, TypedDict

UsageGroup = Literal["day", "action", "agent", "member", "department", "run"]


class Used(TypedDict):
    """The usage under one name; None: of events without one. Of a day: its date."""

    name: str | None
    events: int
    credits: int


class Rest(TypedDict):
    """The usage under all the other names, and how many these are."""

    names: int
    events: int
    credits: int


class Grouped(TypedDict):
    """The usage by one dimension."""

    data: list[Used]
    rest: Rest


UsageSummary = TypedDict(
    "UsageSummary",
    {
        "account_id": str,
        "from": str,
        "to": str,
        "credits": int,
        "events": int,
        "groups": dict[UsageGroup, Grouped],
    },
)
"""usage_summary. from, to: days (UTC)."""
