"""The event log, as `GET /v1/events` shows it."""

from __future__ import annotations

from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_object
from local.stripe.lists import page
from local.stripe.routing import route
from local.stripe.store import Obj

_KEPT = 30 * 86400
"""Stripe lists events of the last 30 days (docs.stripe.com/api/events)."""


@route("get", "/v1/events/{id}")
def retrieve(call: Call, id: str) -> Obj:
    found = call.get("event", id)
    if found["created"] < call.now() - _KEPT:
        raise missing_object("event", id, "id")
    return found


@route("get", "/v1/events")
def index(call: Call) -> Obj:
    params = call.params
    if "types" in params and "type" in params:
        raise invalid("You may pass either type or types, not both.", "types")
    call.params.setdefault("created", {})
    if isinstance(params["created"], dict):
        oldest = call.now() - _KEPT
        params["created"] = {**params["created"], "gte": max(params["created"].get("gte", 0), oldest)}
    success = params.get("delivery_success")
    waiting = None if success is None else (0 if success else 1)
    if "types" in params:
        return page(call, "event", "/v1/events", type=tuple(params["types"]), pending_webhooks=waiting)
    return page(call, "event", "/v1/events", type=params.get("type"), pending_webhooks=waiting)
