"""The usage page: what was used in a period, by day and by who or what used it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from flask import request
from werkzeug.wrappers import Response

from shared.errors import Refused
from shared.usage_models import Grouped, UsageGroup, UsageSummary
from web.api.periods import today
from web.api.statement import month_of
from web.api.usage_summary import NAMES_IN_CSV, csv_response
from web.formats import credits_text, day
from web.pages import frame
from web.pages.visitors import visitor
from web.services import services

DIMENSIONS: Final[dict[UsageGroup, str]] = {
    "agent": "Agent",
    "action": "Action",
    "member": "Member",
    "department": "Department",
    "run": "Run",
}
PERIODS: Final = (7, 30, 90)
NAMES_SHOWN = 100
SLICES_MAX = 6
"""So many names are told apart at a glance; the others are one slice."""

blueprint = frame.blueprint("usage")


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the usage is shown, as the address says it."""

    days: int | None
    month: str | None
    by: UsageGroup
    only: UsageGroup | None
    name: str | None
    first: dt.date
    last: dt.date

    @property
    def filter(self) -> tuple[str, str | None] | None:
        """As usage_summary takes it."""
        return (self.only, self.name) if self.only else None

    def query(self, **changes: Any) -> str:
        """The address of another choice: this one with changes."""
        told = {"days": self.days, "month": self.month, "by": self.by, "only": self.only, "name": self.name}
        return "?" + urlencode({name: value for name, value in (told | changes).items() if value is not None})


def dimension_of(text: str | None) -> UsageGroup:
    """The dimension that an address names, or agent; Refused invalid_value."""
    for dimension in DIMENSIONS:
        if (text or "agent") == dimension:
            return dimension
    raise Refused("Usage is shown by agent, action, member, department or run.")


def by_day(rows: Grouped) -> list[dict[str, Any]]:
    """What a chart of days draws."""
    return [_point(day(dt.date.fromisoformat(str(row["name"]))), row["credits"]) for row in rows["data"]]


def by_name(rows: Grouped) -> list[dict[str, Any]]:
    """What a chart of names draws: name, credits as a number for the length, and as text for people."""
    data = [row for row in rows["data"] if row["credits"]]
    shown = data[:SLICES_MAX] if len(data) > SLICES_MAX + 1 else data
    found = [_point(row["name"] or "Not named", row["credits"]) for row in shown]
    left = sum(row["credits"] for row in data[len(shown) :]) + rows["rest"]["credits"]
    return [*found, _point("All others", left)] if left else found


@blueprint.get("/usage")
def usage() -> str:
    """Totals, a chart by day, a chart and a table by one dimension."""
    choice = _choice()
    found = _summary(choice, ("day", choice.by), NAMES_SHOWN)
    grouped = found["groups"][choice.by]
    return frame.page(
        "billing/usage.html",
        "usage",
        choice=choice,
        found=found,
        grouped=grouped,
        by_day=by_day(found["groups"]["day"]),
        by_name=by_name(grouped),
        dimensions=DIMENSIONS,
        periods=PERIODS,
        this_month=f"{today():%Y-%m}",
    )


@blueprint.get("/usage.csv")
def usage_csv() -> Response:
    """What the table says, with every name; with group=day, by day."""
    choice = _choice()
    group: UsageGroup = "day" if request.args.get("group") == "day" else choice.by
    found = _summary(choice, (group,), NAMES_IN_CSV)
    return csv_response(group, choice.first, choice.last, found["groups"][group])


def _summary(choice: Choice, groups: tuple[UsageGroup, ...], limit: int) -> UsageSummary:
    return services().ledger.usage_summary(
        visitor().account_id, choice.first, choice.last, groups, only=choice.filter, limit=limit
    )


def _choice() -> Choice:
    given = request.args
    if "\0" in "".join(given.values()):
        raise Refused("The address has characters that no name has.")
    days, month = given.get("days"), given.get("month") or None
    if days and (days not in map(str, PERIODS) or month):
        raise Refused("A period is 7, 30 or 90 days, or a month.")
    length = int(days) if days else None if month else PERIODS[1]
    if month:
        first, last = _month(month)
    else:
        last = today()
        first = last - dt.timedelta(days=(length or 0) - 1)
    only = dimension_of(given["only"]) if given.get("only") else None
    name = given.get("name") if only else None
    return Choice(length, month, dimension_of(given.get("by")), only, name, first, last)


def _month(text: str) -> tuple[dt.date, dt.date]:
    try:
        first = month_of(text)
    except ValueError:
        raise Refused("A month is written like 2026-11.") from None
    following = (first + dt.timedelta(days=31)).replace(day=1)
    return first, following - dt.timedelta(days=1)


def _point(name: str, micro: int) -> dict[str, Any]:
    return {"name": name, "credits": credits_text(micro), "value": micro / 1_000_000}
