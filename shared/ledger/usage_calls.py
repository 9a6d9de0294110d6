"""Usage added up, and its months: what is kept, exporting, dropping. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls
from shared.usage_models import UsageSummary


class UsageCalls(Calls):
    """Usage added up; months of usage, each named by its first day (UTC)."""

    def usage_summary(
        self,
        account_id: str,
        first: dt.date,
        last: dt.date,
        groups: Sequence[str],
        *,
        only: tuple[str, str | None] | None = None,
        limit: int = 100,
    ) -> UsageSummary:
        """What was used in the days first to last (UTC, both included), in micro-credits, by each of the groups: day,
        action, agent, member, department, run. only: of one name, such as ("agent", "researcher"); None: without a name.
        limit: how many names of a group come one by one, those with most credits.

        Refused: unknown_account, invalid_value (the period, a group).
        """
        by, name = only or (None, None)
        return self._call(
            "usage_summary",
            p_account_id=account_id,
            p_from=first.isoformat(),
            p_to=last.isoformat(),
            p_groups=list(groups),
            p_filter_by=by,
            p_filter=name,
            p_limit=limit,
        )

    def roll_up_usage(self, after: str, accounts: int, events: int) -> dict[str, Any]:
        """Adds up to `events` events of the next accounts to the rollups that usage_summary reads. Answers events, and next:
        the `after` of the following call; None when every account is done.
        """
        return self._call("roll_up_usage", p_after=after, p_accounts=accounts, p_events=events)

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
