"""Balance, spending, adjustments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shared import keys, queue
from shared.errors import Refused
from web import idempotency
from web.api.auto_topup import AutoTopup
from web.api.history import Lot
from web.api.queries import AccountQuery, account_of
from web.api.spending import NO_CREDITS, UNPRICED, NewId, Priced, event_of, explained
from web.auth import require_scope
from web.endpoints import Call, Endpoint
from web.fields import (
    Answer,
    CreditsOut,
    Text,
    numbered,
)


class Balance(Answer):
    """What the account has."""

    account_id: str
    available: Annotated[CreditsOut, Field(description="What may be spent now.")]
    held: CreditsOut
    balance: Annotated[CreditsOut, Field(description="The sum of the entries; may be negative.")]
    debt: CreditsOut
    status: Annotated[str, Field(description="active, grace (automatic charges have stopped) or paused.")]
    pause_reason: Annotated[str | None, Field(description="dispute or payment_failed; null unless paused.")]
    dispute: Annotated[
        Literal["dispute", "inquiry"] | None,
        Field(
            description="What of the account's payments the bank has not decided: nothing is charged automatically"
            " meanwhile. It freezes spending only if status is paused. null: nothing is disputed."
        ),
    ]
    grace_until: Annotated[
        str | None,
        Field(description="When the account is paused unless a payment goes through; null when none is due."),
    ]
    low: bool
    lots: list[Lot]
    auto_topup: AutoTopup
    runway_days: Annotated[
        float | None,
        Field(
            description="Days that it lasts at the recent pace: the mean of today and the six days before (UTC), or since"
            " the first usage, over at least 24 hours. Auto top-up is left aside. null without usage in these days."
        ),
    ]


@Endpoint(
    "GET",
    "/api/credits/balance",
    summary="Balance, lots, auto top-up and runway",
    tag="credits",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=Balance,
    errors=("unknown_account", "account_required"),
)
def balance(call: Call) -> Any:
    """What the account may spend, what it holds, and how long it lasts."""
    return call.services.ledger.get_balance(account_of(call))


class Use(Priced):
    """A spend.

    `action` is priced by its rate card; `amount` instead of that price needs the scope `price`.
    """

    id: NewId = None
    hold_id: Annotated[
        Text | None,
        Field(description="Spend from this hold, which reserved the credits: the budget of a run."),
    ] = None


class Used(Answer):
    """A spend that was booked."""

    id: str
    transaction_id: numbered("txn")  # type: ignore[valid-type]  # a type made by a function
    credits: CreditsOut
    available: CreditsOut
    status: str


@Endpoint(
    "POST",
    "/api/credits/use",
    summary="Spend credits now",
    tag="credits",
    scope="spend",
    body=Use,
    example={"id": "run-42-step-7", "action": "message", "quantity": 2, "agent": "researcher"},
    answer=Used,
    errors=(
        *NO_CREDITS,
        *UNPRICED,
        "idempotency_conflict",
        "not_found",
        "state_conflict",
        "invalid_idempotency_key",
    ),
)
def use(call: Call) -> Any:
    """Spends once for the id, or refuses with 402 and what would help.

    The same id with the same content answers as before.
    """
    body: Use = call.body
    if body.amount is not None:
        require_scope(call.api_key, "price")
    account_id = call.account_id(body.account_id)
    event = event_of(body) | {"id": body.id or idempotency.header_key() or keys.new_id("use")}
    try:
        spent = call.services.ledger.spend_credits(account_id, event)
    except Refused as refusal:
        raise explained(call, account_id, event["id"], refusal) from None
    if spent["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return {**spent, "id": event["id"]}
