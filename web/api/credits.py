"""Balance, spending, adjustments."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from pydantic import Field

from shared import credits, keys, queue
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
    Body,
    CreditsOut,
    Reason,
    SignedCreditsIn,
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
    grace_until: Annotated[
        str | None,
        Field(description="When the account is paused unless a payment goes through; null when none is due."),
    ]
    low: bool
    lots: list[Lot]
    auto_topup: AutoTopup
    runway_days: Annotated[
        float | None, Field(description="Days that it lasts at the recent pace; null without usage.")
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
        raise explained(call, account_id, refusal) from None
    if spent["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return {**spent, "id": event["id"]}


class Adjustment(Body):
    """A correction by an operator. Negative credits take away, and may take the balance below zero."""

    account_id: Text | None = None
    amount: SignedCreditsIn
    reason: Reason
    actor: Annotated[
        Text | None, Field(description="The person who decided it; the key is recorded beside.")
    ] = None


class Adjusted(Answer):
    """An adjustment that was booked."""

    id: str
    transaction_id: numbered("txn")  # type: ignore[valid-type]
    credits: CreditsOut
    balance: CreditsOut


@Endpoint(
    "POST",
    "/api/credits/adjustments",
    summary="Correct a balance",
    tag="operators",
    scope="admin",
    body=Adjustment,
    example={"account_id": "acme", "amount": "-12.5", "reason": "Charged twice for run 42", "actor": "dana"},
    answer=Adjusted,
    statuses=(201,),
    errors=(
        "unknown_account",
        "account_required",
        "approval_required",
        "idempotency_key_reused",
        "invalid_idempotency_key",
        "request_in_flight",
    ),
)
def adjust(call: Call) -> Response:
    """Books the correction with its reason and author; above ADJUSTMENT_APPROVAL_CREDITS it is refused."""
    body: Adjustment = call.body
    account_id = call.account_id(body.account_id)
    bound = call.services.settings.adjustment_approval_credits
    if abs(body.amount) > credits.from_json(bound):
        raise Refused(
            f"An adjustment of more than {bound} credits needs a second operator's approval.",
            code="approval_required",
        )
    actor = f"{body.actor} ({call.actor})" if body.actor else call.actor

    def run(attempt: idempotency.Attempt) -> Response:
        adjustment_id = attempt.id("adj")
        booked = call.services.ledger.adjust_credits(
            adjustment_id, account_id, body.amount, body.reason, actor
        )
        if booked["topup_due"]:
            call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
        return call.respond({**booked, "id": adjustment_id}, 201)

    return idempotency.once(call.services.ledger, call.caller, body.model_dump(), run)
