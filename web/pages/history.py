"""The history page: every movement of credits, in words, a page at a time, and as a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from flask import make_response, redirect, request
from werkzeug.wrappers import Response

from shared import credits
from shared.errors import Refused
from shared.ledger import Ledger, Page
from web.api.periods import day_of
from web.api.statement import csv_line, harmless
from web.formats import KINDS
from web.pages import frame
from web.pages.movements import explained
from web.pages.typed import Typed
from web.pages.visitors import visitor
from web.services import services

ENTRIES_SHOWN = 50
ENTRIES_A_READ = 1_000
CURSOR_DIGITS_MAX = 18
COLUMNS: Final = (
    "entry",
    "booked_at",
    "kind",
    "explanation",
    "credits",
    "balance_after",
    "source_kind",
    "source_id",
)

blueprint = frame.blueprint("history")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are shown, as the address says it."""

    kind: str | None
    first: dt.date | None
    last: dt.date | None

    def query(self, **more: Any) -> str:
        """The address of these entries, with what page of them."""
        told = {"kind": self.kind, "from": self.first, "to": self.last} | more
        return "?" + urlencode({name: value for name, value in told.items() if value is not None})

    def entries(
        self, ledger: Ledger, account_id: str, limit: int, cursor: str | None, *, newer: bool = False
    ) -> Page:
        """A page of them."""
        return ledger.list_transactions(
            account_id, limit, cursor, self.kind, first=self.first, last=self.last, newer=newer
        )


@blueprint.get("/history")
def history() -> str | Response:
    """The newest entries, or those beside a cursor."""
    wanted, form = _asked()
    if wanted is None:
        refused = frame.page(
            "billing/history.html", "history", wanted=None, form=form, kinds=KINDS, filtered=True
        )
        return make_response(refused, 422)
    cursor = request.args.get("cursor") or None
    if cursor is not None and not (
        cursor.isascii() and cursor.isdigit() and len(cursor) <= CURSOR_DIGITS_MAX
    ):
        raise Refused("This page of the history does not exist.")
    newer = request.args.get("newer") == "1"
    found = wanted.entries(services().ledger, visitor().account_id, ENTRIES_SHOWN, cursor, newer=newer)
    if newer and found["previous_cursor"] is None:
        # The newest page again, and not what happened to be left on the way back.
        return redirect(f"/billing/history{wanted.query()}", 303)
    return frame.page(
        "billing/history.html",
        "history",
        wanted=wanted,
        form=form,
        kinds=KINDS,
        entries=[(row, explained(row)) for row in found["data"]],
        older=found["next_cursor"],
        newer=found["previous_cursor"],
        filtered=wanted != Wanted(None, None, None),
    )


@blueprint.get("/history.csv")
def history_csv() -> Response:
    """Every entry of the filter, newest first."""
    wanted, form = _asked()
    if wanted is None:
        raise Refused(next(iter(form.faults.values())))
    return Response(
        _csv_lines(services().ledger, visitor().account_id, wanted),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="history.csv"'},
    )


def _csv_lines(ledger: Ledger, account_id: str, wanted: Wanted) -> Iterator[str]:
    """Read a thousand at a time. Asks for nothing of the request: it is over by then."""
    yield csv_line(COLUMNS)
    cursor: str | None = None
    while True:
        page = wanted.entries(ledger, account_id, ENTRIES_A_READ, cursor)
        yield from (csv_line(_cells(row)) for row in page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    said = explained(row)
    return (
        f"txn_{row['id']}",
        row["created_at"],
        row["kind"],
        harmless(". ".join(filter(None, (said.what, said.why)))),
        credits.to_text(row["credits"]),
        credits.to_text(row["balance_after"]),
        row["source_kind"],
        harmless(row["source_id"]),
    )


def _asked() -> tuple[Wanted | None, Typed]:
    """The filter of the address; None with what is wrong at its fields."""
    form = Typed.of(request.args, ("kind", "from", "to"))
    kind = form.chosen("kind", ("", *KINDS))
    first, last = form.read("from", _day), form.read("to", _day)
    if first and last and last < first:
        form.faults["to"] = "The last day cannot be before the first one."
    return (None if form.faults else Wanted(kind or None, first, last)), form


def _day(text: str) -> dt.date | None:
    try:
        return day_of(text)
    except ValueError:
        raise ValueError("a day such as 2026-11-30") from None
