"""The event log, as `GET /v1/events` shows it."""

from __future__ import annotations

from local.stripe.engine import Call
from local.stripe.lists import page
from local.stripe.routing import route
from local.stripe.store import Obj


@route("get", "/v1/events/{id}")
def retrieve(call: Call, id: str) -> Obj:
    return call.get("event", id)


@route("get", "/v1/events")
def index(call: Call) -> Obj:
    params = call.params
    success = params.get("delivery_success")
    waiting = None if success is None else (0 if success else 1)
    if "types" in params:
        return page(call, "event", "/v1/events", type=tuple(params["types"]), pending_webhooks=waiting)
    return page(call, "event", "/v1/events", type=params.get("type"), pending_webhooks=waiting)
