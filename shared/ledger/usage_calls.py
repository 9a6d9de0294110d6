"""Months of usage: what is kept, exporting, dropping. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

import datetime as dt
from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls


class UsageCalls(Calls):
    """Months of usage, each named by its first day (UTC)."""

    def usage_months(self) -> list[dict[str, Any]]:
        """Every month, oldest first: month, events, credits, exported_at, dropped_at. Counts every row that is kept."""
        return self._call("usage_months")

    def read_usage_month(self, month: dt.date, after: dict[str, Any] | None, limit: int) -> dict[str, Any]:
        """A page of complete rows by account and id: rows, and next (the following page's `after`; None at the end).

        Refused: invalid_value, not_found, state_conflict (the month is not over yet).
        """
        return self._call(
            "read_usage_month",
            p_month=month.isoformat(),
            p_after=None if after is None else Json(after),
            p_limit=limit,
        )

    def finish_usage_export(
        self, month: dt.date, events: int, credits: int, sha256: str, actor: str
    ) -> dict[str, Any]:
        """Records that the month was written to a file, with what the file holds (credits in micro-credits).

        Refused: invalid_value, not_found, state_conflict (not over yet, or the month holds something else).
        """
        return self._call(
            "finish_usage_export",
            p_month=month.isoformat(),
            p_events=events,
            p_credits=credits,
            p_sha256=sha256,
            p_actor=actor,
        )

    def drop_usage_month(self, month: dt.date, actor: str) -> dict[str, Any]:
        """Drops the usage rows of an exported month, for good; its keys and entries stay.

        Refused: invalid_value, not_found, state_conflict (not exported, changed since, ended less than two months ago,
        an older month is still kept).
        """
        return self._call("drop_usage_month", p_month=month.isoformat(), p_actor=actor)
