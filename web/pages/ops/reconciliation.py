"""What Stripe and the books say differently, and the runs that compare them."""

from __future__ import annotations

import datetime as dt

from flask import request
from werkzeug.wrappers import Response

from shared import keys, queue
from shared.errors import Refused
from web.pages.frame import action
from web.pages.ops import frame
from web.services import services

PATH = "/ops/reconciliation"
RUNS_SHOWN = 20
DIFFERENCES_SHOWN = 100
SPANS = {"24h": 1, "7d": 7, "30d": 30}
NOTE_LENGTH_MAX = 500

blueprint = frame.blueprint("reconciliation")


@blueprint.get("/reconciliation")
def show() -> str:
    """Open differences (all of them with `all`) and the newest runs."""
    ledger, every = services().ledger, "all" in request.args
    return frame.page(
        "ops/reconciliation.html",
        "reconciliation",
        differences=ledger.list_differences(DIFFERENCES_SHOWN, all_of_them=every),
        every=every,
        runs=ledger.list_reconciliations(RUNS_SHOWN),
        spans=SPANS,
        request_id=keys.new_id("form"),
    )


@blueprint.post("/reconciliation")
@action(PATH)
def start() -> str | Response:
    """Opens a run over the last days, for a worker. The form's id makes a double click one run."""
    days, request_id = SPANS.get(request.form.get("span", "")), request.form.get("request_id", "")
    if days is None or not request_id.startswith("form_"):
        raise Refused("The form was not complete. Reload the page and try again.")
    who, since = frame.operator(), dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    run_id = keys.derived_id("rec", who.user_id, request_id)
    services().ledger.open_reconciliation(run_id, since.isoformat(), None)
    services().ledger.note_operation(who.actor, "reconciliation.started", run_id)
    services().queue.enqueue(queue.RECONCILE, run_id)
    return f"{run_id} is under way. Reload this page to see how far it is."


@blueprint.post("/reconciliation/dismiss")
@action(PATH)
def dismiss() -> str | Response:
    """Notes that a person has settled a difference."""
    number = frame.number("difference_id", "There is no such difference.")
    note = request.form.get("note", "").strip()
    if len(note) > NOTE_LENGTH_MAX or not note.isprintable():
        raise Refused(f"A note has up to {NOTE_LENGTH_MAX} printable characters.")
    services().ledger.dismiss_difference(number, note, frame.operator().actor)
    return "The difference is settled."
