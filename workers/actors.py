"""The actors: names and queues from shared/queue.py, what they do from the modules here, how each is retried.

Three outcomes: return is done; Refused is final; anything else is tried again a few times, soon. Long waits
are a column of the row behind the message, never a delayed message, which Redis failures can strand. Only
usage has no row behind it, so its message is kept as long as the database is away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.middleware import CurrentMessage

from shared import queue
from shared.errors import Refused, Transient
from shared.stripe_timing import CALL_SECONDS_MAX
from workers import (
    delivery,
    events,
    maintenance,
    middleware,
    purchases,
    reconciliation,
    subscriptions,
    topups,
    usage,
)
from workers.app import App

SECOND_MS = 1_000
# A charge makes up to four calls of Stripe.
STRIPE_LIMIT_MS = (4 * CALL_SECONDS_MAX + 40) * SECOND_MS
FAULT_RETRIES_MAX = 3

Job = Callable[..., None]


def declare(app: App) -> dict[str, dramatiq.Actor[..., None]]:
    """Declares every actor on the app's broker. Call it once a process, after logging is configured."""
    broker = app.broker
    dramatiq.set_encoder(middleware.ForgivingEncoder())
    broker.add_middleware(middleware.JobContext())
    broker.add_middleware(CurrentMessage())  # whose message holds a lease: workers.topups
    stripe_row = {"max_retries": 2, "min_backoff": 2 * SECOND_MS, "max_backoff": 15 * SECOND_MS}
    jobs: list[tuple[str, Job, dict[str, Any]]] = [
        (queue.CHECK_THRESHOLD, topups.check_threshold, {**stripe_row, "time_limit": STRIPE_LIMIT_MS}),
        (queue.CHARGE_TOPUP, topups.charge_topup, {**stripe_row, "time_limit": STRIPE_LIMIT_MS}),
        (queue.PROCESS_EVENT, events.process_event, {**stripe_row, "time_limit": STRIPE_LIMIT_MS}),
        (queue.CHECK_PAYMENT, purchases.check_payment, {"max_retries": 0, "time_limit": STRIPE_LIMIT_MS}),
        (
            queue.CHECK_SUBSCRIPTION,
            subscriptions.check_subscription,
            {"max_retries": 0, "time_limit": STRIPE_LIMIT_MS},
        ),
        (queue.RECORD_USAGE, usage.record_usage, _usage_policy()),
        (queue.SEND_NOTICE, delivery.send_notice, {"max_retries": 0, "time_limit": 60 * SECOND_MS}),
        (queue.SWEEP, maintenance.sweep, {"max_retries": 0, "time_limit": 120 * SECOND_MS}),
        (queue.PRUNE, maintenance.prune, {"max_retries": 0, "time_limit": 120 * SECOND_MS}),
        (queue.ROLL_UP_USAGE, maintenance.roll_up_usage, {"max_retries": 0, "time_limit": 1800 * SECOND_MS}),
        (queue.RUN_CHECKS, maintenance.run_checks, {"max_retries": 0, "time_limit": 600 * SECOND_MS}),
        (queue.RECONCILE, reconciliation.reconcile, {"max_retries": 0, "time_limit": STRIPE_LIMIT_MS}),
    ]
    return {name: _declare(app, name, job, policy) for name, job, policy in jobs}


def _declare(app: App, name: str, job: Job, policy: dict[str, Any]) -> dramatiq.Actor[..., None]:
    def run(*args: Any) -> None:
        job(app, *args)

    run.__name__ = name
    decorate = dramatiq.actor(
        actor_name=name, queue_name=queue.ACTORS[name], broker=app.broker, throws=Refused, **policy
    )
    return decorate(run)


def _usage_policy() -> dict[str, Any]:
    return {
        "retry_when": keep_usage,
        "min_backoff": SECOND_MS,
        "max_backoff": 30 * SECOND_MS,
        "time_limit": 300 * SECOND_MS,
    }


def keep_usage(retries: int, error: BaseException) -> bool:
    """Usage waits for the database as long as it takes; a fault of ours gets a few tries."""
    return isinstance(error, Transient) or retries < FAULT_RETRIES_MAX
