"""Deliveries of notices: what was sent, what failed, and sending it again."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from shared import queue
from web.pages.frame import action
from web.pages.ops import frame
from web.services import services

PATH = "/ops/notices"
STATES = ("pending", "sent", "skipped", "failed")
SHOWN = 100

blueprint = frame.blueprint("notices")


@blueprint.get("/notices")
def show() -> str:
    """The newest deliveries, of one state if given."""
    state = request.args.get("state")
    state = state if state in STATES else None
    found = services().ledger.list_notices(state, SHOWN)
    return frame.page(
        "ops/notices.html", "notices", deliveries=found, state=state, states=STATES, shown=SHOWN
    )


@blueprint.post("/notices/replay")
@action(PATH)
def replay() -> str | Response:
    """Makes one delivery due again, whatever became of it."""
    number = frame.number("delivery_id", "There is no such delivery of a notice.")
    _replay(number)
    return f"Delivery {number} is due again."


@blueprint.post("/notices/replay-failed")
@action(PATH)
def replay_failed() -> str | Response:
    """Makes up to 1,000 that failed due again."""
    return f"{_replay(None)} failed deliveries are due again."


def _replay(number: int | None) -> int:
    due = services().ledger.replay_notices(number, frame.operator().actor)
    for delivery in due:
        services().queue.hint(queue.SEND_NOTICE, delivery)
    return len(due)
