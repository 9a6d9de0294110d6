"""Deferred revenue and breakage of a month, for accounting: of one account, or of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import Field

from shared.ledger import patient
from web.api.queries import AccountQuery
from web.api.statement import Month, csv_line, month_of
from web.endpoints import Call, Endpoint
from web.fields import Answer

# Of all accounts, everything that was booked since the month began is read.
REVENUE_LIMIT_MS = 30_000
FIGURES = ("opening", "sold", "restored", "refunded", "disputed", "broken", "used", "closing")


class RevenueQuery(AccountQuery):
    """A month of UTC, such as 2026-11; the current one when left out. Without an account: all of them."""

    month: Month = Field(None, examples=["2026-11"])
    format: Literal["json", "csv"] = "json"


class Figures(Answer):
    """Minor units: opening + sold + restored - refunded - disputed - broken - used = closing."""

    opening: Annotated[int, Field(description="Deferred revenue: what unused paid credits are worth.")]
    sold: Annotated[int, Field(description="Paid for credits, without fees and taxes.")]
    restored: Annotated[
        int, Field(description="Credits that came back when a refund failed or a dispute was won.")
    ]
    refunded: Annotated[int, Field(description="Unused credits that refunds took.")]
    disputed: Annotated[int, Field(description="Unused credits that disputes took.")]
    broken: Annotated[int, Field(description="Breakage: credits that expired unused.")]
    used: Annotated[int, Field(description="Earned by usage; paid debts and corrections too.")]
    closing: int


class KindFigures(Figures):
    """The figures of one kind of sale."""

    kind: str


class CurrencyFigures(Figures):
    """The figures of one currency."""

    currency: str
    kinds: list[KindFigures]


class Revenue(Answer):
    """Deferred revenue and what became of it."""

    account_id: Annotated[str | None, Field(description="null: all accounts.")]
    month: str
    starts_at: str
    ends_at: str
    is_final: Annotated[bool, Field(description="The month is over.")]
    currencies: list[CurrencyFigures]


@Endpoint(
    "GET",
    "/api/billing/revenue",
    summary="Deferred revenue and breakage of a month",
    tag="operators",
    scope="admin",
    query=RevenueQuery,
    answer=Revenue,
    also_answers=("text/csv",),
    errors=("unknown_account",),
)
def revenue(call: Call) -> Any:
    """What unused paid credits are worth, what was sold, used, refunded, disputed and expired, by kind of sale.

    A key that is bound to an account gets that account, another one the account it names, or all.
    """
    query: RevenueQuery = call.query
    whole = query.account_id is None and call.api_key["account_id"] is None
    account_id = None if whole else call.account_id(query.account_id)
    month = month_of(query.month)
    with patient(call.services.settings, REVENUE_LIMIT_MS) as ledger:
        found = ledger.get_revenue(month, account_id)
    if query.format == "json":
        return found
    name = f"revenue-{month:%Y-%m}.csv"
    return Response(
        csv_lines(found),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def csv_lines(found: dict[str, Any]) -> Iterator[str]:
    """What get_revenue answered as lines of CSV: one a currency and kind, and one a currency, of kind `all`."""
    yield csv_line(("month", "currency", "kind", *FIGURES))
    for total in found["currencies"]:
        for row in (*total["kinds"], {**total, "kind": "all"}):
            figures = (row[name] for name in FIGURES)
            yield csv_line((found["month"], total["currency"], row["kind"], *figures))
