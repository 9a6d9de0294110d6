"""Periods of days (UTC), as queries name them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from pydantic import AfterValidator, Field

DEFAULT_DAYS = 30
_DAY = re.compile(r"2\d{3}-\d{2}-\d{2}", re.ASCII)


def _day(value: str) -> str:
    if _DAY.fullmatch(value) is None:
        raise ValueError("a day such as 2026-11-30")
    dt.date.fromisoformat(value)
    return value


Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]


def day_of(text: str | None) -> dt.date | None:
    """A day such as 2026-11-30; None for nothing; ValueError for what is no day."""
    return dt.date.fromisoformat(_day(text)) if text else None


def today() -> dt.date:
    """The day in UTC."""
    return dt.datetime.now(dt.UTC).date()


def days_of(first: str | None, last: str | None, days: int = DEFAULT_DAYS) -> tuple[dt.date, dt.date]:
    """The first and the last day of a period: up to today, and that many days long, where it does not say."""
    end = day_of(last) or today()
    return day_of(first) or end - dt.timedelta(days=days - 1), end
