"""Billing periods by the calendar, counted from an anchor (docs.stripe.com/billing/subscriptions/billing-cycle).

A month that is too short for the anchor's day ends on its last day: an anchor of January 31 bills on February 28 and
again on March 31.
"""

from __future__ import annotations

import calendar
import datetime as dt
from typing import Any

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}
_YEAR = 12


def added(anchor: int, recurring: dict[str, Any], times: int) -> int:
    """The Unix time `times` intervals after the anchor, at the anchor's time of day in UTC."""
    start = dt.datetime.fromtimestamp(anchor, dt.UTC)
    count = recurring["interval_count"] * times
    if recurring["interval"] in _DAYS:
        return int((start + dt.timedelta(days=_DAYS[recurring["interval"]] * count)).timestamp())
    months = start.year * _YEAR + start.month - 1 + _MONTHS[recurring["interval"]] * count
    year, month = divmod(months, _YEAR)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def period_of(anchor: int, recurring: dict[str, Any], moment: int) -> tuple[int, int]:
    """Start and end of the period that contains `moment`; the anchor is one of the starts."""
    length = added(anchor, recurring, 1) - anchor
    times = (moment - anchor) // length
    while added(anchor, recurring, times) > moment:
        times -= 1
    while added(anchor, recurring, times + 1) <= moment:
        times += 1
    return added(anchor, recurring, times), added(anchor, recurring, times + 1)


def share(amount: int, part: int, whole: int) -> int:
    """`amount` in proportion of seconds, rounded half away from zero, in minor units."""
    if whole <= 0:
        return 0
    doubled, sign = 2 * abs(amount) * part, -1 if amount < 0 else 1
    return sign * ((doubled + whole) // (2 * whole))


def day(moment: int) -> str:
    """A date as it stands in the descriptions of invoice lines: 10 Nov 2025."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%d %b %Y")
