"""Large adjustments: a second operator approves or rejects them."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from shared.errors import Refused
from web import adjustments
from web.api.adjustments import AdjustmentPath, Decision
from web.pages.frame import action, filled_in
from web.pages.ops import frame
from web.services import services

PATH = "/ops/adjustments"
SHOWN = 100

blueprint = frame.blueprint("adjustments")


@blueprint.get("/adjustments")
def show() -> str:
    """Those that wait, and what became of the newest others."""
    found = services().ledger.list_adjustments(None, None, SHOWN)
    waiting = services().ledger.list_adjustments(None, "waiting", SHOWN)
    return frame.page(
        "ops/adjustments.html",
        "adjustments",
        waiting=waiting,
        decided=[row for row in found if row["state"] != "waiting"],
        myself=frame.operator().decides.by,
    )


@blueprint.post("/adjustments/decide")
@action(PATH)
def decide() -> str | Response:
    """Approves, which books it, or rejects. Whoever asked for it may not decide."""
    wanted, note = filled_in(AdjustmentPath), filled_in(Decision).note
    decision = request.form.get("decision")
    if decision not in ("approve", "reject"):
        raise Refused("Approve or reject it.")
    approve = decision == "approve"
    decided = adjustments.decide(services(), frame.operator().decides, wanted.id, None, note, approve=approve)
    return f"{decided['id']} is {decided['state']}." + (
        " It is booked." if approve else " Nothing is booked."
    )
