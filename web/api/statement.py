"""The statement of a month: opening + entries = closing, by kind and by lot, as JSON or CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import AfterValidator, Field

from shared import credits, money
from shared.ledger import Ledger
from web.api.history import Lot
from web.api.queries import AccountQuery, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, CreditsOut

ENTRIES_A_READ = 1_000
COLUMNS = (
    "entry",
    "booked_at",
    "occurred_at",
    "kind",
    "credits",
    "balance_after",
    "counter_account",
    "source_kind",
    "source_id",
    "lots",
    "charged",
    "discount",
    "currency",
)
_MONTH = re.compile(r"2\d{3}-(0[1-9]|1[0-2])", re.ASCII)
# What a spreadsheet would take for a formula (owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _month(value: str | None) -> str | None:
    if value is not None and _MONTH.fullmatch(value) is None:
        raise ValueError("a month such as 2026-11")
    return value


Month = Annotated[str | None, AfterValidator(_month)]


class StatementQuery(AccountQuery):
    """A month of UTC, such as 2026-11; the current one when left out."""

    month: Month = Field(None, examples=["2026-11"])
    format: Literal["json", "csv"] = "json"


class KindTotal(Answer):
    """What the entries of one kind come to."""

    kind: str
    entries: int
    credits_in: CreditsOut
    credits_out: CreditsOut
    net: CreditsOut


class PaidTotal(Answer):
    """What payments of one kind came to in one currency, in minor units: charged, after what promotion codes took off."""

    kind: Literal["purchase", "topup"]
    currency: str
    payments: int
    charged: int
    discount: int


class LotInMonth(Lot):
    """A lot, and what happened to it in the month: opening + filled - drawn - expired = closing."""

    opening: CreditsOut
    filled: CreditsOut
    drawn: CreditsOut
    expired: CreditsOut
    closing: CreditsOut


class Statement(Answer):
    """opening + net = closing. What lots do not cover is debt."""

    account_id: str
    account_name: str
    month: str
    starts_at: str
    ends_at: str
    is_final: Annotated[bool, Field(description="The month is over.")]
    opening: CreditsOut
    net: CreditsOut
    closing: CreditsOut
    debt_opening: CreditsOut
    debt_closing: CreditsOut
    kinds: list[KindTotal]
    lots: list[LotInMonth]
    paid: Annotated[list[PaidTotal], Field(description="Payments whose credits were booked in the month.")]


@Endpoint(
    "GET",
    "/api/credits/statement",
    summary="Statement of a month",
    tag="history",
    scope="read",
    member_role="member",
    query=StatementQuery,
    answer=Statement,
    also_answers=("text/csv",),
    errors=("unknown_account", "account_required"),
)
def statement(call: Call) -> Any:
    """What the account had, got, used and has, down to each lot; as CSV, down to each entry."""
    account_id, month = account_of(call), month_of(call.query.month)
    ledger = call.services.ledger
    if call.query.format == "json":
        return ledger.get_statement(account_id, month)
    ledger.get_account(account_id)
    name = f"statement-{month:%Y-%m}.csv"
    return Response(
        csv_lines(ledger, account_id, month),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def month_of(text: str | None) -> dt.date:
    """The first day of a month such as 2026-11, of the current one when none is named; ValueError for others."""
    return dt.date.fromisoformat(f"{_month(text) or dt.datetime.now(dt.UTC).strftime('%Y-%m')}-01")


def csv_lines(ledger: Ledger, account_id: str, month: dt.date) -> Iterator[str]:
    """The entries of a month as lines of CSV, read a thousand at a time."""
    yield csv_line(COLUMNS)
    last = 0
    while entries := ledger.list_statement_entries(account_id, month, last, ENTRIES_A_READ):
        for entry in entries:
            yield csv_line(_cells(entry))
        last = entries[-1]["id"]


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    lots = " ".join(f"lot_{draw['lot_id']}:{credits.to_text(draw['credits'])}" for draw in entry["draws"])
    paid = entry["paid"]
    charged = (
        [money.to_decimal(paid[name], paid["currency"]) for name in ("amount", "discount")]
        if paid
        else ["", ""]
    )
    return (
        f"txn_{entry['id']}",
        entry["created_at"],
        entry["occurred_at"],
        entry["kind"],
        credits.to_text(entry["credits"]),
        credits.to_text(entry["balance_after"]),
        entry["counter_account"],
        entry["source_kind"],
        harmless(entry["source_id"]),
        lots,
        *charged,
        paid["currency"] if paid else "",
    )


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
