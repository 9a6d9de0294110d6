"""Usage added up over days: by day, action, agent, member, department or run, as JSON or CSV."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import ConfigDict, Field

from shared import credits
from shared.usage_models import Grouped, UsageGroup
from web.api.periods import Day, days_of
from web.api.queries import AccountQuery, account_of
from web.api.statement import csv_line, harmless
from web.endpoints import Call, Endpoint
from web.fields import Answer, CreditsOut, Text

NAMES_IN_CSV = 100_000


class SummaryQuery(AccountQuery):
    """Days of UTC, both included: the last 30 when left out, at most 367. `filter_by` with `filter` counts the usage of one
    name only; without `filter`, the usage that has none.
    """

    from_: Annotated[Day | None, Field(alias="from", examples=["2026-11-01"])] = None
    to: Annotated[Day | None, Field(examples=["2026-11-30"])] = None
    group: UsageGroup = "day"
    filter_by: Literal["action", "agent", "member", "department", "run"] | None = None
    filter: Text | None = None
    limit: Annotated[
        int, Field(ge=1, le=1000, description="Names to list, most credits first; days are all listed.")
    ] = 100
    format: Literal["json", "csv"] = "json"


class Used(Answer):
    """The usage under one name; of a day, its date. null: events without a name."""

    name: str | None
    events: int
    credits: CreditsOut


class Rest(Answer):
    """The usage under the names beyond `limit`."""

    names: int
    events: int
    credits: CreditsOut


class Summary(Answer):
    """What was used in a period.

    The events of a month that was dropped still count, but not by run and another name at once.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[str, Field(alias="from")]
    to: str
    group: UsageGroup
    credits: CreditsOut
    events: int
    data: list[Used]
    rest: Rest


@Endpoint(
    "GET",
    "/api/credits/usage/summary",
    summary="Usage by day, action, agent, member, department or run",
    tag="history",
    scope="read",
    member_role="member",
    query=SummaryQuery,
    answer=Summary,
    also_answers=("text/csv",),
    errors=("unknown_account", "account_required", "invalid_value"),
)
def usage_summary(call: Call) -> Any:
    """What was used in a period, added up. Days are those on which events happened, not those on which they were booked."""
    query: SummaryQuery = call.query
    first, last = days_of(query.from_, query.to)
    only = (query.filter_by, query.filter) if query.filter_by else None
    in_csv = query.format == "csv"
    limit = NAMES_IN_CSV if in_csv else query.limit
    found = call.services.ledger.usage_summary(
        account_of(call), first, last, [query.group], only=only, limit=limit
    )
    grouped = found["groups"][query.group]
    if in_csv:
        return csv_response(query.group, first, last, grouped)
    return {**found, "group": query.group, **grouped}


def csv_response(group: str, first: dt.date, last: dt.date, grouped: Grouped) -> Response:
    """The usage by one dimension as a file."""
    return Response(
        _csv_lines(group, grouped),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="usage-{first}-{last}-by-{group}.csv"'},
    )


def _csv_lines(group: str, grouped: Grouped) -> Iterator[str]:
    yield csv_line((group, "events", "credits"))
    for row in grouped["data"]:
        yield csv_line((harmless(row["name"] or ""), row["events"], credits.to_text(row["credits"])))
