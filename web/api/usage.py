"""Usage that already happened: one event, an array of up to 1,000, or CloudEvents."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from flask import Response, request
from pydantic import Field

from shared import queue
from shared.errors import REFUSALS, Refused
from shared.models import Rejected, UsageResult
from shared.usage_events import EVENTS_MAX, normalize_usage
from web import bodies
from web.api.usage_models import CloudEventIn, UsageIn
from web.endpoints import Call, Endpoint, respond
from web.fields import Answer, CreditsOut

# A large batch locks hundreds of accounts. Many at once wait for each other in the database, where that costs it a
# third more a batch than one after the other; so a process sends one at a time, unless it takes unusually long.
LARGE_BATCH = 100
TURN_SECONDS_MAX = 2.0

_turn = threading.Lock()
_STATUS = dict(REFUSALS.values())
_EVENT_SCHEMA = {
    "anyOf": [{"$ref": "#/components/schemas/UsageIn"}, {"$ref": "#/components/schemas/CloudEventIn"}]
}


class RejectedEvent(Answer):
    """An event that was not booked. `index` is its place in the body."""

    index: int
    id: str | None
    code: str
    parked: Annotated[
        bool,
        Field(
            description="true: it is kept, and booked by itself when there is a price for it; do not send it again."
        ),
    ]


class AccountAfter(Answer):
    """An account that the events were for."""

    account_id: str
    available: CreditsOut
    status: str


class UsageAnswer(Answer):
    """What became of the events."""

    accepted: int
    duplicates: Annotated[int, Field(description="Known before, with the same content; not booked again.")]
    rejected: list[RejectedEvent]
    accounts: list[AccountAfter]


@Endpoint(
    "POST",
    "/api/credits/usage",
    summary="Record usage that already happened",
    tag="credits",
    scope="usage",
    answer=UsageAnswer,
    raw=True,
    content_types=("application/json", "application/cloudevents+json", "application/cloudevents-batch+json"),
    body_schema={
        "anyOf": [
            _EVENT_SCHEMA,
            {"type": "array", "items": _EVENT_SCHEMA, "minItems": 1, "maxItems": EVENTS_MAX},
        ]
    },
    schemas=(UsageIn, CloudEventIn),
    example={"id": "evt-1", "account_id": "acme", "action": "message", "quantity": 3, "run_id": "run-42"},
    errors=(
        "too_many_events",
        "account_required",
        "unknown_account",
        "invalid_value",
        "idempotency_conflict",
    ),
)
def record(call: Call) -> Response:
    """Books each event once; it is always booked, also below zero.

    What has no price yet is kept (`parked`) and booked when it has one. In a batch, what cannot be booked is listed
    in `rejected` and the others go through; a single event that is not kept either is refused with its code.
    """
    if not bodies.is_json(request):
        raise Refused("Send application/json or CloudEvents.", code="unsupported_media_type", status=415)
    body = bodies.parse_json(bodies.read_body(request, bodies.USAGE_BYTES_MAX))
    events, rejected = normalize_usage(body)
    events, rejected = _admit(call, events, rejected)
    if isinstance(body, dict) and rejected:
        raise _refused(rejected[0])
    result = _book(call, events, rejected)
    if isinstance(body, dict) and result["rejected"] and not result["rejected"][0]["parked"]:
        raise _refused(result["rejected"][0])
    for account_id in result["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return respond(call.endpoint, result)


def _places(count: int, rejected: list[Rejected]) -> list[int]:
    """The places in the body of the events that were not rejected."""
    taken = {item["index"] for item in rejected}
    return [place for place in range(count) if place not in taken]


def _admit(
    call: Call, events: list[dict[str, Any]], rejected: list[Rejected]
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """Takes out the events that this key may not send: another account's, or with a price of its own."""
    bound = call.api_key["account_id"]
    priced = "price" in call.api_key["scopes"]
    codes = [_denial(event, bound, priced=priced) for event in events]
    if not any(codes):
        return events, rejected
    places = _places(len(events) + len(rejected), rejected)
    denied: list[Rejected] = [
        {"index": place, "id": event["id"], "code": code, "parked": False}
        for place, event, code in zip(places, events, codes, strict=True)
        if code
    ]
    return [event for event, code in zip(events, codes, strict=True) if not code], [*rejected, *denied]


def _denial(event: dict[str, Any], bound: str | None, *, priced: bool) -> str | None:
    if bound is not None and event.pop("account_id", bound) != bound:
        return "unknown_account"
    if bound is None and "account_id" not in event:
        return "account_required"
    return None if priced or "amount" not in event else "scope_missing"


def _book(call: Call, events: list[dict[str, Any]], rejected: list[Rejected]) -> UsageResult:
    """The ledger's result, with places of the body instead of places among the admitted."""
    if not events:
        return {
            "accepted": 0,
            "duplicates": 0,
            "rejected": _in_order(rejected),
            "accounts": [],
            "topup_due": [],
        }
    with _taking_turns(len(events)):
        result = call.services.ledger.record_usage(events, call.api_key["account_id"])
    if rejected:
        places = _places(len(events) + len(rejected), rejected)
        moved: list[Rejected] = [{**item, "index": places[item["index"]]} for item in result["rejected"]]
        result["rejected"] = _in_order([*rejected, *moved])
    return result


@contextmanager
def _taking_turns(count: int) -> Iterator[None]:
    taken = count >= LARGE_BATCH and _turn.acquire(timeout=TURN_SECONDS_MAX)
    try:
        yield
    finally:
        if taken:
            _turn.release()


def _in_order(rejected: list[Rejected]) -> list[Rejected]:
    return sorted(rejected, key=lambda item: item["index"])


def _refused(item: Rejected) -> Refused:
    code = item["code"]
    status = 403 if code == "scope_missing" else _STATUS.get(code, 422)
    return Refused(
        f"The event was not booked: {code.replace('_', ' ')}.",
        code=code,
        status=status,
        rejected=[dict(item)],
    )
