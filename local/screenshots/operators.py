"""The operators' pages, with something on each that waits for them."""

from __future__ import annotations

from local.api import await_value
from local.scene import Place, Scene
from local.screenshots.visits import Visit, operator
from shared.credits import MICRO

PATHS = (
    "events", "dead-letters", "payments", "topups", "topups/paused", "accounts", "usage", "holds", "notices",
    "adjustments", "reconciliation", "invariants",
)  # fmt: skip


def pages(scene: Scene, place: Place) -> list[Visit]:
    """All of them; those of one thing show what belongs to the account."""
    scene.ledger.request_adjustment(
        f"adj_{place.id}", place.id, 20_000 * MICRO, "Price was wrong", "operator:b", "kim"
    )
    run = f"rec_{place.id}"
    scene.ledger.open_reconciliation(run, "2026-01-01T00:00:00Z", None)
    scene.ledger.record_difference(run, "payment", "pi_gone", place.id, "not_paid", {})
    await_value(lambda: scene.ledger.list_stripe_events("done", 1), "an event to be done")
    event = scene.ledger.list_stripe_events("done", 1)[0]["id"]
    payment = scene.ledger.list_payments(place.id, 1, None)["data"][0]["id"]
    enter = operator(scene)
    return [
        Visit("ops", "/ops", enter),
        *(Visit(f"ops-{path.replace('/', '-')}", f"/ops/{path}", enter) for path in PATHS),
        Visit("ops-search", "/ops/search?q=acme", enter),
        Visit("ops-search-nothing", "/ops/search?q=nobody-of-that-name", enter),
        Visit("ops-payment", f"/ops/payments/{payment}", enter),
        Visit("ops-event", f"/ops/events/{event}", enter),
        Visit("ops-account", f"/ops/accounts/{place.id}", enter),
        Visit("ops-no-account", "/ops/accounts/nobody", enter, 404),
        Visit("ops-no-events", "/ops/events?state=parked", enter),
    ]
