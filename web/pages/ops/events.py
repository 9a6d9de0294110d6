"""Events that Stripe sent: list, one with its payload, replay."""

from __future__ import annotations

import json

from flask import request
from werkzeug.wrappers import Response

from shared import queue
from shared.errors import Refused
from web.pages.frame import action
from web.pages.ops import frame
from web.services import services

PATH = "/ops/events"
STATES = ("received", "done", "ignored", "parked")
SHOWN = 100
REPLAYED_AT_ONCE = 100

blueprint = frame.blueprint("events")


@blueprint.get("/events")
def show() -> str:
    """The newest events, of one state if given."""
    state = request.args.get("state")
    state = state if state in STATES else None
    events = services().ledger.list_stripe_events(state, SHOWN)
    return frame.page("ops/events.html", "events", events=events, state=state, states=STATES, shown=SHOWN)


@blueprint.get("/events/<event_id>")
def event(event_id: str) -> str:
    """One event, with its payload until that is pruned."""
    found = services().ledger.get_stripe_event(event_id.replace("\0", ""))
    if found is None:
        raise Refused("There is no such event.", code="not_found", status=404)
    payload = bytes.fromhex(found["payload"] or "").decode(errors="replace")
    return frame.page("ops/event.html", "events", event=found, payload=_indented(payload))


@blueprint.post("/events/replay")
@action(PATH)
def replay() -> str | Response:
    """Makes one event due again."""
    event_id = request.form.get("event_id", "").replace("\0", "")
    _replay(event_id)
    return f"{event_id} is due again."


@blueprint.post("/events/replay-parked")
@action(PATH)
def replay_parked() -> str | Response:
    """Makes the newest parked events due again."""
    parked = services().ledger.list_stripe_events("parked", REPLAYED_AT_ONCE)
    for row in parked:
        _replay(row["id"])
    return f"{len(parked)} parked events are due again."


def _replay(event_id: str) -> None:
    services().ledger.replay_stripe_event(event_id, frame.operator().actor)
    services().queue.hint(queue.PROCESS_EVENT, event_id)


def _indented(payload: str) -> str:
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except ValueError:
        return payload
