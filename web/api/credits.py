"""Balance, spending, adjustments."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Response
from pydantic import Field, model_validator

from shared import credits, keys, queue
from shared.errors import Refused
from web import idempotency
from web.api.auto_topup import AutoTopup
from web.api.history import Lot
from web.api.queries import AccountQuery, account_of
from web.api.usage_models import UsageData
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

PAYMENT_REQUIRED = 402
# What is passed on to the ledger when it is given. `agent_type` joins `agent`.
_OPTIONAL = ("action", "amount", "agent", "department_id", "member_id", "run_id", "dimensions", "metadata")


class Balance(Answer):
    """What the account has."""

    account_id: str
    available: Annotated[CreditsOut, Field(description="What may be spent now.")]
    held: CreditsOut
    balance: Annotated[CreditsOut, Field(description="The sum of the entries; may be negative.")]
    debt: CreditsOut
    status: str
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
    query=AccountQuery,
    answer=Balance,
    errors=("unknown_account", "account_required"),
)
def balance(call: Call) -> Any:
    """What the account may spend, what it holds, and how long it lasts."""
    return call.services.ledger.get_balance(account_of(call))


class Use(UsageData):
    """A spend.

    `action` is priced by the table of actions; `amount` instead of that price needs the scope `price`.
    """

    id: Annotated[
        Text | None,
        Field(description="Unique in the account. Left out: Idempotency-Key, else a generated one."),
    ] = None

    @model_validator(mode="after")
    def _is_priced(self) -> Self:
        if self.action is None and self.amount is None:
            raise ValueError("name an action, or an amount")
        if self.agent and self.agent_type and self.agent != self.agent_type:
            raise ValueError("agent and agent_type are one field: send one of them")
        return self


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
        "insufficient_credits",
        "limit_reached",
        "account_paused",
        "idempotency_conflict",
        "unknown_action",
        "unknown_account",
        "account_required",
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
    event: dict[str, Any] = {name: value for name in _OPTIONAL if (value := getattr(body, name)) is not None}
    if body.agent_type is not None:
        event["agent"] = body.agent_type
    event["id"] = body.id or idempotency.header_key() or keys.new_id("use")
    event["quantity"] = body.quantity
    try:
        spent = call.services.ledger.spend_credits(account_id, event)
    except Refused as refusal:
        if refusal.status == PAYMENT_REQUIRED:
            raise payment_required(refusal, call.services.settings.base_url) from None
        raise
    if spent["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return {**spent, "id": event["id"]}


def payment_required(refusal: Refused, base_url: str) -> Refused:
    """The refusal with everything that a caller needs to tell its user, in the same form for each reason."""
    facts = {"binding": "account", "needed": None, "available": None, "topup": None} | refusal.extra
    needed, available = facts["needed"], facts["available"]
    detail = refusal.detail
    if isinstance(needed, int) and isinstance(available, int):
        has = f"This needs {credits.to_text(needed)} credits, {credits.to_text(available)} are available."
        detail = f"{detail} {has}"
    if facts["topup"] == "in_flight":
        detail += " An automatic top-up is under way: try again in a moment."
    return Refused(
        detail, code=refusal.code, status=PAYMENT_REQUIRED, **facts, purchase_url=f"{base_url}/billing#buy"
    )


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
