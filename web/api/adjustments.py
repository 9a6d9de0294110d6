"""Corrections of balances; large ones wait for a second operator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response
from pydantic import Field, StringConstraints

from web import adjustments, idempotency
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, CreditsOut, Reason, SignedCreditsIn, Text, numbered

_TAG = "operators"
_PATH = "/api/credits/adjustments"
Actor = Annotated[Text | None, Field(description="The person who decided it; the key is recorded beside.")]
Transaction: Any = numbered("txn")
State = Literal["waiting", "approved", "rejected"]


class Adjustment(Body):
    """A correction by an operator. Negative credits take away, and may take the balance below zero."""

    account_id: Text | None = None
    amount: SignedCreditsIn
    reason: Reason
    actor: Actor = None


class Adjusted(Answer):
    """An adjustment that was booked, or one that waits."""

    id: str
    account_id: str
    state: Annotated[
        Literal["booked", "waiting", "approved", "rejected"],
        Field(description="waiting: nothing is booked until another operator approves it."),
    ]
    transaction_id: Annotated[Transaction | None, Field(description="null unless it was booked.")]
    credits: CreditsOut
    balance: Annotated[CreditsOut | None, Field(description="null unless it was booked.")]


class AdjustmentPath(Body):
    """An adjustment by its id."""

    id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]


class Decision(Body):
    """What another operator says about it."""

    actor: Actor = None
    note: Annotated[Reason | None, Field(description="Kept in the audit log.")] = None


class AdjustmentQuery(Body):
    """Of one account, or of one state."""

    account_id: Text | None = None
    state: State | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class Waiting(Answer):
    """An adjustment that needed a second operator."""

    id: str
    account_id: str
    state: State
    credits: CreditsOut
    reason: str
    requester: str
    created_at: str
    decider: str | None
    note: str | None
    decided_at: str | None


class Adjustments(Answer):
    """The newest ones."""

    data: list[Waiting]
    next_cursor: None = None


@Endpoint(
    "POST",
    _PATH,
    summary="Correct a balance",
    tag=_TAG,
    scope="admin",
    body=Adjustment,
    example={"account_id": "acme", "amount": "-12.5", "reason": "Charged twice for run 42", "actor": "dana"},
    answer=Adjusted,
    statuses=(201, 202),
    errors=(
        "unknown_account",
        "account_required",
        "idempotency_key_reused",
        "idempotency_key_expired",
        "invalid_idempotency_key",
        "request_in_flight",
    ),
)
def adjust(call: Call) -> Response:
    """Books the correction with its reason and author (201).

    Above ADJUSTMENT_APPROVAL_CREDITS it waits (202) until another operator approves it: another API key, or somebody on
    the pages of operators.
    """
    body: Adjustment = call.body
    account_id = call.account_id(body.account_id)

    def run(attempt: idempotency.Attempt) -> Response:
        adjustment_id = attempt.id("adj")
        made = adjustments.adjust(
            call.services, _operator(call, body.actor), adjustment_id, account_id, body.amount, body.reason
        )
        return call.respond(made, 201 if made["state"] == "booked" else 202)

    return idempotency.once(call.services.ledger, call.caller, body.model_dump(), run, makes="adj")


@Endpoint(
    "GET",
    _PATH,
    summary="Adjustments that need a second operator",
    tag=_TAG,
    scope="admin",
    query=AdjustmentQuery,
    answer=Adjustments,
    errors=("unknown_account",),
)
def index(call: Call) -> Any:
    """The newest ones, decided ones too. Smaller adjustments are transactions and nothing else."""
    query: AdjustmentQuery = call.query
    account_id = _own(call, query.account_id)
    return {"data": call.services.ledger.list_adjustments(account_id, query.state, query.limit)}


@Endpoint(
    "POST",
    _PATH + "/{id}/approve",
    summary="Approve an adjustment",
    tag=_TAG,
    scope="admin",
    params=AdjustmentPath,
    body=Decision,
    body_optional=True,
    example={"actor": "kim"},
    answer=Waiting,
    errors=("not_found", "state_conflict"),
)
def approve(call: Call) -> Any:
    """Books it. The key that asked for it may not (409)."""
    return _decide(call, approve=True)


@Endpoint(
    "POST",
    _PATH + "/{id}/reject",
    summary="Reject an adjustment",
    tag=_TAG,
    scope="admin",
    params=AdjustmentPath,
    body=Decision,
    body_optional=True,
    example={"actor": "kim", "note": "The run was charged once."},
    answer=Waiting,
    errors=("not_found", "state_conflict"),
)
def reject(call: Call) -> Any:
    """Nothing is booked, for good. The key that asked for it may not (409)."""
    return _decide(call, approve=False)


def _decide(call: Call, *, approve: bool) -> Any:
    body: Decision = call.body
    who, account_id = _operator(call, body.actor), _own(call, None)
    return adjustments.decide(call.services, who, call.params.id, account_id, body.note, approve=approve)


def _own(call: Call, given: str | None) -> str | None:
    """The account of the key or the one it names; None: of any."""
    return None if given is None and call.api_key["account_id"] is None else call.account_id(given)


def _operator(call: Call, named: str | None) -> adjustments.Operator:
    return adjustments.Operator(call.caller, f"{named} ({call.actor})" if named else call.actor)
