"""Periodic work: the sweep finds whatever stayed unfinished, the checks find what must not be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from shared import queue
from shared.errors import QueueUnavailable, Transient
from shared.ledger import patient
from workers import delivery, subscriptions
from workers.app import App

log = logging.getLogger(__name__)

ITEMS_MAX = 1_000
EXPIRY_ACCOUNTS_MAX = 500
PORTION_ACCOUNTS_MAX = 200
# So few that nobody waits long for an account of theirs.
HOLD_ACCOUNTS_MAX = 50
REPRICED_MAX = 1_000
EXPIRING_CARDS_MAX = 500
EXPIRING_LOTS_MAX = 500
PRUNED_MAX = 1_000
ROLLED_ACCOUNTS_MAX = 500
ROLLED_EVENTS_MAX = 20_000
DUNNED_MAX = 500
# Less than the time between two sweeps; the next one goes on where this one stopped.
STEP_SECONDS_MAX = 20.0
PARTITIONS_AHEAD = 3
# The checks read the whole ledger; the actor's own time limit is the same.
CHECKS_LIMIT_MS = 600_000


def sweep(app: App) -> None:
    """Plans notices, enqueues what is due, expires lots and holds, announces lots that expire soon, duns, and so on.

    A failing step stops no other.
    """
    result = {
        "notices_planned": _step("notices", lambda: delivery.plan(app, ITEMS_MAX)),
        "enqueued": _step("due work", lambda: _enqueue_due(app)),
        "expired": _step("lot expiry", lambda: app.ledger.expire_lots(EXPIRY_ACCOUNTS_MAX)),
        "portions": _step(
            "portions of plans", lambda: _until_done(lambda: app.ledger.grant_portions(PORTION_ACCOUNTS_MAX))
        ),
        "holds_expired": _step("hold expiry", lambda: _expire_holds(app)),
        "usage_repriced": _step("repricing", lambda: _reprice_usage(app)),
        "cards_expiring": _step(
            "expiring cards", lambda: app.ledger.announce_expiring_cards(EXPIRING_CARDS_MAX)
        ),
        "lots_expiring": _step("expiring lots", lambda: _announce_expiring_lots(app)),
        "dunned": _step("dunning", lambda: _dun(app)),
        "partitions": _step("partitions", lambda: app.ledger.ensure_usage_partitions(PARTITIONS_AHEAD)),
    }
    app.ledger.finish_job(queue.SWEEP, result)


def run_checks(app: App) -> None:
    """Reads every invariant; one that does not hold is logged (so Sentry has it), with at most ten ids."""
    with patient(app.settings, CHECKS_LIMIT_MS) as ledger:
        violations = ledger.check_invariants()
    for violation in violations:
        log.error("invariant violated", extra=dict(violation))
    result = {violation["invariant"]: violation["violations"] for violation in violations}
    app.ledger.finish_job(queue.RUN_CHECKS, {"violations": result})
    _step("plan prices", lambda: subscriptions.check_plans(app))


def prune(app: App) -> None:
    """Drops what is kept only for a while, in small transactions: old answers of POSTs, payloads of finished events, old
    invitations.
    """
    days = app.settings.retention_days
    result = {
        "requests": _step("requests", lambda: _until_done(lambda: app.ledger.prune_requests(PRUNED_MAX))),
        "events": _step(
            "events", lambda: _until_done(lambda: app.ledger.prune_stripe_events(days, PRUNED_MAX))
        ),
        "invitations": _step(
            "invitations", lambda: _until_done(lambda: app.ledger.prune_invitations(PRUNED_MAX))
        ),
    }
    app.ledger.finish_job(queue.PRUNE, result)


def roll_up_usage(app: App) -> None:
    """Adds up the usage of every account that has had some since the last run. A run that is cut off is continued by the
    next one: each call is committed by itself.
    """
    after: str | None = ""
    events = 0
    while after is not None:
        done = app.ledger.roll_up_usage(after, ROLLED_ACCOUNTS_MAX, ROLLED_EVENTS_MAX)
        after, events = done["next"], events + done["events"]
    app.ledger.finish_job(queue.ROLL_UP_USAGE, {"events": events})


def _enqueue_due(app: App) -> dict[str, int]:
    due = app.ledger.due_work(ITEMS_MAX)
    work: list[tuple[str, list[Any]]] = [
        (queue.CHARGE_TOPUP, due["topups"]),
        (queue.CHECK_THRESHOLD, due["accounts"]),
        (queue.PROCESS_EVENT, due["events"]),
        (queue.CHECK_PAYMENT, due["payments"]),
        (queue.SEND_NOTICE, due["notices"]),
        (queue.RECONCILE, due["reconciliations"]),
    ]
    try:
        for actor, ids in work:
            for item in ids:
                app.queue.enqueue(actor, item)
    except QueueUnavailable:
        log.warning("the queue is away, the next sweep takes over")
    return {actor: len(ids) for actor, ids in work if ids}


def _dun(app: App) -> int:
    settings = app.settings
    return app.ledger.dun_accounts(settings.grace_hours, settings.grace_micro_credits, DUNNED_MAX)


def _expire_holds(app: App) -> int:
    """Expires every hold whose time is up; answers how many accounts it touched, one with many holds more than once."""
    return _until_done(lambda: app.ledger.expire_holds(HOLD_ACCOUNTS_MAX))


def _announce_expiring_lots(app: App) -> int:
    """Tells accounts of credits that expire soon; answers how many notices it wrote."""
    days = app.settings.lot_expiry_notice_days
    return _until_done(lambda: app.ledger.announce_expiring_lots(days, EXPIRING_LOTS_MAX))


def _reprice_usage(app: App) -> int:
    """Books usage whose card came after it; answers how many events it looked at."""

    def reprice() -> int:
        answer = app.ledger.reprice_usage(REPRICED_MAX)
        for account_id in answer["topup_due"]:
            app.queue.hint(queue.CHECK_THRESHOLD, account_id)
        return int(answer["booked"]) + int(answer["waiting"])

    return _until_done(reprice)


def _until_done(run: Callable[[], int]) -> int:
    """Calls until there is nothing left to do, or a sweep's share of time is over; answers the sum."""
    end, total = time.monotonic() + STEP_SECONDS_MAX, 0
    while done := run():
        total += done
        if time.monotonic() > end:
            break
    return total


def _step(name: str, run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Transient as error:
        log.warning("%s waits for the next sweep", name, extra={"reason": error.detail})
    except Exception:
        log.exception("%s failed", name)
    return None
