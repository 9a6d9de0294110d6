"""Freezes: an operator lets an account spend although a dispute, or the end of its grace, has paused it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.errors import Refused
from web.api.adjustments import Actor
from web.api.members import AccountPath
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, Reason, Text


class Unfreezing(Body):
    """Why, and what it covers."""

    reason: Annotated[Reason, Field(description="Kept in the audit log.")]
    covers: Annotated[
        list[Text] | None,
        Field(
            min_length=1,
            max_length=100,
            description="Ids of disputes (`dp_…`), or `grace` for the end of a grace. Left out: all that freezes it now.",
        ),
    ] = None
    actor: Actor = None


class FreezeOut(Answer):
    """An open dispute or inquiry, or the end of a grace. `frozen`: it keeps the account from spending."""

    id: str
    kind: Literal["dispute", "inquiry", "grace"]
    status: Annotated[str | None, Field(description="Stripe's; null for grace.")]
    amount: int | None
    currency: str | None
    payment_id: str | None
    invoice_id: str | None
    since: str
    frozen: bool
    lifted_at: str | None


class UnfrozenOut(Answer):
    """The account's status afterwards, what was lifted, and every open cause."""

    account_id: str
    status: Annotated[str, Field(description="active, grace or paused.")]
    lifted: list[str]
    freezes: list[FreezeOut]


@Endpoint(
    "POST",
    "/api/accounts/{id}/unfreeze",
    summary="Lift what freezes an account",
    tag="operators",
    scope="admin",
    params=AccountPath,
    body=Unfreezing,
    example={"reason": "The card holder withdraws the dispute", "actor": "dana"},
    answer=UnfrozenOut,
    errors=("unknown_account", "key_bound", "not_frozen"),
)
def unfreeze(call: Call) -> Any:
    """The account may spend again, whatever the bank decides later. Another dispute, or an inquiry that becomes a dispute,
    freezes it again. Automatic charges stay paused until a person resumes them, and while a dispute or an inquiry is open.
    With a key that is bound to no account alone.
    """
    body: Unfreezing = call.body
    account_id = call.account_id(call.params.id)
    if call.api_key["account_id"] is not None:
        raise Refused(
            "This API key is bound to an account: freezes are lifted with a key that is bound to none.",
            code="key_bound",
            status=403,
        )
    actor = f"{body.actor} ({call.actor})" if body.actor else call.actor
    return call.services.ledger.unfreeze_account(account_id, body.covers, body.reason, actor)
