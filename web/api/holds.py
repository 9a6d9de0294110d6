"""Holds: credits that are reserved before work begins, and settled by what it cost. A run's budget is a hold."""

from __future__ import annotations

from typing import Any

from flask import Response

from shared import errors, keys, models, queue
from shared.errors import Refused
from web import idempotency
from web.api.hold_models import (
    Extension,
    Hold,
    HoldPage,
    HoldPath,
    HoldQuery,
    NewHold,
    Release,
    SettledHold,
    Settlement,
)
from web.api.queries import AccountQuery, account_of
from web.api.spending import NO_CREDITS, UNPRICED, event_of, explained
from web.auth import require_scope
from web.endpoints import Call, Endpoint

_ACCOUNT = ("unknown_account", "account_required")


@Endpoint(
    "POST",
    "/api/credits/holds",
    summary="Reserve credits",
    tag="holds",
    scope="spend",
    body=NewHold,
    example={"id": "run-42", "amount": "25", "expires_in": 3600, "agent": "researcher", "run_id": "run-42"},
    answer=Hold,
    statuses=(201, 200),
    errors=(
        *NO_CREDITS,
        *UNPRICED,
        "idempotency_conflict",
        "not_found",
        "state_conflict",
        "invalid_idempotency_key",
    ),
)
def place(call: Call) -> Response:
    """Reserves once for the id, from the account or from the hold `parent_id`, or refuses with 402.

    201 when it was placed, 200 when it was placed before. What is not settled comes back at `expires_at`.
    """
    body: NewHold = call.body
    if body.action is not None and body.amount is not None:
        require_scope(call.api_key, "price")
    account_id = call.account_id(body.account_id)
    hold = event_of(body) | {"id": body.id or idempotency.header_key() or keys.new_id("hold")}
    try:
        placed = call.services.ledger.place_hold(account_id, hold)
    except Refused as refusal:
        raise explained(call, account_id, hold["id"], refusal) from None
    _hint_topup(call, placed)
    return call.respond(placed, 200 if placed["replayed"] else 201)


@Endpoint(
    "GET",
    "/api/credits/holds",
    summary="The account's holds, newest first",
    tag="holds",
    scope="read",
    member_role="member",
    query=HoldQuery,
    answer=HoldPage,
    errors=(*_ACCOUNT, "invalid_value"),
)
def show_all(call: Call) -> Any:
    """Every hold, of one state if given."""
    query: HoldQuery = call.query
    return call.services.ledger.list_holds(account_of(call), query.limit, query.cursor, query.state)


@Endpoint(
    "GET",
    "/api/credits/holds/{id}",
    summary="A hold",
    tag="holds",
    scope="read",
    member_role="member",
    params=HoldPath,
    query=AccountQuery,
    answer=Hold,
    errors=(*_ACCOUNT, "not_found"),
)
def show(call: Call) -> Any:
    """The hold as it is, and what the account has left."""
    return call.services.ledger.get_hold(account_of(call), call.params.id)


@Endpoint(
    "POST",
    "/api/credits/holds/{id}/settle",
    summary="Charge what it cost",
    tag="holds",
    scope="spend",
    params=HoldPath,
    body=Settlement,
    example={
        "usage": [
            {
                "action": "llm",
                "dimensions": {"model": "small-1", "input_tokens": 1200, "output_tokens": 310},
            }
        ]
    },
    answer=SettledHold,
    errors=(*UNPRICED, "not_found", "idempotency_conflict", "state_conflict"),
)
def settle(call: Call) -> Response:
    """Charges once what the work cost, more than was held or after the end of the hold as well, and returns the rest.

    With `final` false the hold stays open, and can be extended and reserve more in the same call.
    """
    body: Settlement = call.body
    account_id = call.account_id(body.account_id)
    if "price" not in call.api_key["scopes"] and _sets_a_price(call, account_id, body):
        require_scope(call.api_key, "price")
    settled = call.services.ledger.settle_hold(account_id, call.params.id, body.for_ledger())
    _hint_topup(call, settled)
    return call.respond({**settled, "refusal": _refusal(call, settled)})


@Endpoint(
    "POST",
    "/api/credits/holds/{id}/extend",
    summary="Let a hold live longer",
    tag="holds",
    scope="spend",
    params=HoldPath,
    body=Extension,
    body_optional=True,
    example={"expires_in": 900},
    answer=Hold,
    errors=(*_ACCOUNT, "not_found", "state_conflict", "invalid_value"),
)
def extend(call: Call) -> Any:
    """The heartbeat of long work: the hold, and the holds it reserves from, live `expires_in` seconds from now.

    Never shortens, and never beyond a day after the hold was placed.
    """
    body: Extension = call.body
    return call.services.ledger.extend_hold(call.account_id(body.account_id), call.params.id, body.expires_in)


@Endpoint(
    "POST",
    "/api/credits/holds/{id}/release",
    summary="Give back what is held",
    tag="holds",
    scope="spend",
    params=HoldPath,
    body=Release,
    body_optional=True,
    example={"account_id": "acme"},
    answer=Hold,
    errors=(*_ACCOUNT, "not_found", "state_conflict"),
)
def release(call: Call) -> Any:
    """Closes the hold and its children. What was charged through them stays charged."""
    body: Release = call.body
    return call.services.ledger.release_hold(call.account_id(body.account_id), call.params.id)


def _sets_a_price(call: Call, account_id: str, body: Settlement) -> bool:
    """Whether the caller, and no rate card, says what is charged: by naming it, or by having reserved it."""
    if body.is_priced_by_caller():
        return True
    if not body.takes_what_is_held() and body.reserve is None:
        return False
    by_card = call.services.ledger.get_hold(account_id, call.params.id)["action"] is not None
    # More than a card's price may be reserved for a budget, not for a hold that is settled by what it reserves.
    return by_card if body.reserve is not None else not by_card


def _hint_topup(call: Call, hold: models.Hold) -> None:
    if hold["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, hold["account_id"])


def _refusal(call: Call, hold: models.Hold) -> dict[str, Any] | None:
    """What a settlement could not reserve, as that refusal would read by itself."""
    raised = hold["refusal"]
    if raised is None:
        return None
    refusal = errors.from_sqlstate(raised["sqlstate"], raised["message"], raised["detail"])
    if refusal is None:
        raise RuntimeError(f"settle_hold answered the SQLSTATE {raised['sqlstate']}")
    refusal = explained(call, hold["account_id"], hold["id"], refusal)
    return {"code": refusal.code, "detail": refusal.detail, **refusal.extra}
