"""What happened: transactions, usage events, lots."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from web.api.periods import Day, day_of
from web.api.queries import Page, PageQuery, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, CreditsOut, MoneyOut, Text, numbered

_ERRORS = ("unknown_account", "account_required", "invalid_value")


LotKind = Literal["purchase", "topup", "subscription", "signup", "promotion", "adjustment"]


class Draw(Answer):
    """One lot that a transaction filled or drew."""

    lot_id: numbered("lot")  # type: ignore[valid-type]  # a type made by a function
    kind: LotKind
    credits: CreditsOut


class PaidBy(MoneyOut):
    """The payment that an entry came from."""

    id: str
    receipt_url: str | None


class InvoicedBy(MoneyOut):
    """The line of an invoice that an entry came from."""

    id: str
    number: str | None
    plan: str
    hosted_url: str | None


class UsedBy(Answer):
    """The events of a debit: how many, and what all of them have in common."""

    events: int
    action: str | None
    agent: str | None
    department_id: str | None
    member_id: str | None
    run_id: str | None


class Transaction(Answer):
    """One row of the ledger."""

    id: numbered("txn")  # type: ignore[valid-type]
    kind: str
    credits: Annotated[CreditsOut, Field(description="Signed: positive came in, negative went out.")]
    balance_after: CreditsOut
    source_kind: Annotated[str, Field(description="What it came from: payment, usage, adjustment, account…")]
    source_id: str
    draws: list[Draw]
    payment: PaidBy | None
    invoice: InvoicedBy | None
    usage: Annotated[UsedBy | None, Field(description="Null when the events are not kept any more.")]
    occurred_at: str
    created_at: str


class TransactionQuery(PageQuery):
    """A page of the ledger, of one kind if given, booked in the days `from` to `to` (UTC, both included).

    With `newer`, what is newer than `cursor`.
    """

    kind: Text | None = None
    from_: Annotated[Day | None, Field(alias="from", examples=["2026-11-01"])] = None
    to: Annotated[Day | None, Field(examples=["2026-11-30"])] = None
    newer: bool = False


class TransactionPage(Page):
    """A page of the ledger."""

    data: list[Transaction]
    previous_cursor: Annotated[
        str | None, Field(description="With `newer` it leads to the page before; null on the first one.")
    ]


class UsageEvent(Answer):
    """One usage event that was booked."""

    id: str
    transaction_id: numbered("txn")  # type: ignore[valid-type]
    action: str | None
    quantity: int
    credits: CreditsOut
    agent: str | None
    department_id: str | None
    member_id: str | None
    run_id: str | None
    hold_id: Annotated[str | None, Field(description="The hold that it was charged through.")]
    dimensions: dict[str, Any] | None
    metadata: dict[str, Any] | None
    occurred_at: str
    created_at: str


class UsagePage(Page):
    """A page of usage events."""

    data: list[UsageEvent]


class Lot(Answer):
    """One grant, and what is left of it."""

    id: numbered("lot")  # type: ignore[valid-type]
    kind: LotKind
    source: str
    granted: CreditsOut
    remaining: CreditsOut
    paid_amount: Annotated[int, Field(description="What was paid for it, in minor units of `currency`.")]
    currency: str | None
    priority: int
    expires_at: str | None
    created_at: str


class LotPage(Page):
    """A page of lots."""

    data: list[Lot]


@Endpoint(
    "GET",
    "/api/credits/transactions",
    summary="The account's ledger, newest first",
    tag="history",
    scope="read",
    member_role="member",
    query=TransactionQuery,
    answer=TransactionPage,
    errors=_ERRORS,
)
def transactions(call: Call) -> Any:
    """Every movement, with the balance after it and what it came from."""
    query = call.query
    return call.services.ledger.list_transactions(
        account_of(call),
        query.limit,
        query.cursor,
        query.kind,
        first=day_of(query.from_),
        last=day_of(query.to),
        newer=query.newer,
    )


@Endpoint(
    "GET",
    "/api/credits/usage",
    summary="The account's usage events, newest first",
    tag="history",
    scope="read",
    member_role="member",
    query=PageQuery,
    answer=UsagePage,
    errors=_ERRORS,
)
def usage(call: Call) -> Any:
    """Every event that was booked, with who caused it."""
    return call.services.ledger.list_usage(account_of(call), call.query.limit, call.query.cursor)


@Endpoint(
    "GET",
    "/api/credits/lots",
    summary="The account's lots, newest first",
    tag="history",
    scope="read",
    member_role="member",
    query=PageQuery,
    answer=LotPage,
    errors=_ERRORS,
)
def lots(call: Call) -> Any:
    """Every grant with its own remainder, price and expiry."""
    return call.services.ledger.list_lots(account_of(call), call.query.limit, call.query.cursor)
