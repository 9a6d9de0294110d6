"""Work that was given up, automatic charges, open holds, and the check of the books."""

from __future__ import annotations

from flask import request
from redis import RedisError
from werkzeug.wrappers import Response

from shared.dead_letters import DeadLetters
from shared.errors import DatabaseUnavailable, QueueUnavailable, Refused
from shared.ledger import patient
from web import reasons, topups
from web.dead_letters import dead_letters
from web.pages import errors
from web.pages.frame import action
from web.pages.ops import frame
from web.services import services

LETTERS, TOPUPS, PAUSED, INVARIANTS = (
    "/ops/dead-letters",
    "/ops/topups",
    "/ops/topups/paused",
    "/ops/invariants",
)
TOPUP_STATES = (
    "open", "processing", "unknown", "action_required", "canceling", "declined", "canceled", "succeeded",
)  # fmt: skip
SHOWN = 100
# A worker of web is ended when an answer takes a minute.
CHECK_LIMIT_MS = 45_000

blueprint = frame.blueprint("work")


@blueprint.errorhandler(RedisError)
def _away(_error: RedisError) -> Response:
    return errors.ours(QueueUnavailable("Redis is away."))


@blueprint.get("/dead-letters")
def letters() -> str:
    """Messages that were given up, the newest first."""
    found = _letters().all()
    return frame.page(
        "ops/dead_letters.html", "dead-letters", letters=found[:SHOWN], count=len(found), shown=SHOWN
    )


@blueprint.post("/dead-letters/requeue")
@action(LETTERS)
def requeue() -> str | Response:
    """Puts a message back on its queue."""
    letter = _letters().requeue(request.form.get("letter_id", ""))
    services().ledger.note_operation(frame.operator().actor, "dead_letter.requeued", letter.id)
    return f"{letter.id} is on {letter.queue} again, with all its tries before it."


@blueprint.post("/dead-letters/delete")
@action(LETTERS)
def delete() -> str | Response:
    """Drops a message for good."""
    letter = _letters().delete(request.form.get("letter_id", ""))
    services().ledger.note_operation(frame.operator().actor, "dead_letter.deleted", letter.id)
    return f"{letter.id} is deleted."


@blueprint.get("/topups")
def automatic() -> str:
    """The newest automatic charges, of one state if given."""
    state = request.args.get("state")
    state = state if state in TOPUP_STATES else None
    found = services().ledger.list_topups(None, state, SHOWN)
    return frame.page(
        "ops/topups.html", "topups", topups=found, state=state, states=TOPUP_STATES, shown=SHOWN
    )


@blueprint.post("/topups/cancel")
@action(TOPUPS)
def cancel() -> str | Response:
    """Cancels a charge that has not gone through, first at Stripe."""
    topup_id = request.form.get("topup_id", "").replace("\0", "")
    state = topups.cancel(services(), topup_id, frame.operator().actor)
    return f"{topup_id} is {state}."


@blueprint.get("/topups/paused")
def paused() -> str:
    """Accounts whose automatic charges stand still until somebody does something."""
    found = services().ledger.list_paused_topups(SHOWN)
    return frame.page("ops/paused.html", "topups", paused=found, shown=SHOWN)


@blueprint.post("/topups/resume")
@action(PAUSED)
def resume() -> str | Response:
    """Lifts the pause of an account's auto top-up."""
    account_id = request.form.get("account_id", "").replace("\0", "")
    state = topups.resume(services(), account_id, frame.operator().actor)
    if state["paused_reason"] is not None:
        why = reasons.in_words(str(state["paused_reason"]))
        return f"The pause of {account_id} is lifted. Nothing is charged yet: {why}."
    return f"Auto top-up of {account_id} goes on."


@blueprint.get("/holds")
def holds() -> str:
    """Open holds, those that end first at the top: overdue ones, if the sweep has left any."""
    return frame.page(
        "ops/holds.html", "overview", holds=services().ledger.list_open_holds(SHOWN), shown=SHOWN
    )


@blueprint.get("/invariants")
def invariants() -> str:
    """What is checked, and a button."""
    return frame.page("ops/invariants.html", "invariants")


@blueprint.post("/invariants")
@action(INVARIANTS)
def check() -> str | Response:
    """Checks the books now. A ledger that takes longer to read than a page may is checked on the command line."""
    try:
        with patient(services().settings, CHECK_LIMIT_MS) as ledger:
            violations = ledger.check_invariants()
    except DatabaseUnavailable:
        raise Refused(
            "Reading the whole ledger takes longer than a page may: run `flask --app web check`."
        ) from None
    return Response(
        frame.page("ops/invariants.html", "invariants", checked=True, violations=violations),
        mimetype="text/html",
    )


def _letters() -> DeadLetters:
    return dead_letters(services().settings)
