"""Test clocks: a customer with one lives in its time (docs.stripe.com/billing/testing/test-clocks)."""

from __future__ import annotations

from local.stripe import billing
from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.lists import page
from local.stripe.routing import route
from local.stripe.store import Obj

_KIND = "test_helpers.test_clock"
_MONTH = 30 * 86400
_LONGEST = 2 * 366 * 86400


@route("post", "/v1/test_helpers/test_clocks")
def create(call: Call) -> Obj:
    frozen = call.params["frozen_time"]
    clock: Obj = {
        "id": call.id("clock"),
        "object": _KIND,
        "created": call.now(),
        "deletes_after": call.now() + _MONTH,
        "frozen_time": frozen,
        "livemode": False,
        "name": call.params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    call.put(clock)
    call.emit("test_helpers.test_clock.created", clock)
    return clock


@route("get", "/v1/test_helpers/test_clocks/{test_clock}")
def retrieve(call: Call, test_clock: str) -> Obj:
    return call.get(_KIND, test_clock, "test_clock")


@route("get", "/v1/test_helpers/test_clocks")
def index(call: Call) -> Obj:
    return page(call, _KIND, "/v1/test_helpers/test_clocks")


@route("post", "/v1/test_helpers/test_clocks/{test_clock}/advance")
def advance(call: Call, test_clock: str) -> Obj:
    """Everything due until then happens, each at its own time. The answer still says `advancing`, as Stripe's does."""
    clock = call.get(_KIND, test_clock, "test_clock")
    target = call.params["frozen_time"]
    if target <= clock["frozen_time"]:
        raise invalid("The `frozen_time` must be after the test clock's current frozen time.", "frozen_time")
    if target - clock["frozen_time"] > _LONGEST:
        raise invalid(
            "You can only advance a test clock by two intervals of its shortest subscription.", "frozen_time"
        )
    moving = call.put({**clock, "frozen_time": target, "status": "advancing"})
    call.emit("test_helpers.test_clock.advancing", moving)
    billing.run_due(Call(call.engine, None, at=target), test_clock)
    ready = call.put({**moving, "status": "ready"})
    call.emit("test_helpers.test_clock.ready", ready)
    return moving


@route("delete", "/v1/test_helpers/test_clocks/{test_clock}")
def delete(call: Call, test_clock: str) -> Obj:
    """The clock goes, and its customers' subscriptions end."""
    found = call.get(_KIND, test_clock, "test_clock")
    for subscription in call.engine.store.select(
        "subscription", "json_extract(body, '$.test_clock') = ?", (test_clock,)
    ):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            billing.end(call, subscription)
    call.engine.store.delete(test_clock)
    call.emit("test_helpers.test_clock.deleted", found)
    return {"id": test_clock, "object": _KIND, "deleted": True}
