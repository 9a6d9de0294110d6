"""Usage that could not be booked: what it waits for, and discarding it."""

from __future__ import annotations

import shlex
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from web.fields import Body, Reason
from web.pages.frame import action, filled_in
from web.pages.ops import frame
from web.services import services

PATH = "/ops/usage"
SHOWN = 100
UNPRICED = ("unknown_action", "unknown_model", "unknown_dimension")

blueprint = frame.blueprint("usage")


class Why(Body):
    """Why an event is never booked."""

    reason: Reason


@blueprint.get("/usage")
def show() -> str:
    """Newest first; `cursor` leads to older ones."""
    found = services().ledger.list_parked_usage(SHOWN, request.args.get("cursor") or None)
    return frame.page(
        "ops/usage.html",
        "usage",
        parked=[row | {"command": command_for(row)} for row in found["data"]],
        next_cursor=found["next_cursor"],
    )


@blueprint.post("/usage/discard")
@action(PATH)
def discard() -> str | Response:
    """Decides that an event is never booked."""
    number, reason = frame.number("parked_id", "No parked usage waits under this id."), filled_in(Why).reason
    gone = services().ledger.discard_parked_usage(number, reason, frame.operator().actor)
    return f"{gone['event_id'] or number} is discarded: it is never booked."


def command_for(row: dict[str, Any]) -> str | None:
    """The command that would give the event its price, None when a price is not what it lacks."""
    event = row["event"]
    if row["code"] not in UNPRICED or not isinstance(event.get("action"), str):
        return None
    dimensions = event.get("dimensions") if isinstance(event.get("dimensions"), dict) else {}
    words = ["flask", "--app", "web", "actions", "set", event["action"]]
    if isinstance(dimensions.get("model"), str):
        words += ["--model", dimensions["model"]]
    rated = [name for name, value in sorted(dimensions.items()) if not isinstance(value, str)]
    # A price that nobody has decided yet stays a word.
    return " ".join([shlex.join(words), *(f"--rate {shlex.quote(name)}=PRICE/PER" for name in rated)]) + (
        "" if rated else " PRICE"
    )
