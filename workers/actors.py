"""The actors: names and queues from shared/queue.py, what they do from the modules here, how each is retried (retrying.py).

Three outcomes: return is done; Refused is final; anything else is tried again. Long waits are a column of the row behind the
message, never a delayed message, which Redis failures can strand. Only usage has no row behind it, so its message is kept
until it is booked, whatever fails.
"""

from __future__ import annotations

import functools

import dramatiq
from dramatiq.middleware import CurrentMessage

from shared import queue
from shared.errors import Refused
from shared.stripe_timing import CALL_SECONDS_MAX
from workers import (
    delivery,
    events,
    maintenance,
    middleware,
    purchases,
    reconciliation,
    retrying,
    subscriptions,
    topups,
    usage,
)
from workers.app import App
from workers.retrying import Job, Policy

SECOND_MS = 1_000
# A charge makes up to four calls of Stripe.
STRIPE_LIMIT_MS = (4 * CALL_SECONDS_MAX + 40) * SECOND_MS
# Periodic jobs that fail because of the database are tried again each minute, for as long as until the next one.
HOUR_TRIES, DAY_TRIES = 50, 1_400


def declare(app: App) -> dict[str, dramatiq.Actor[..., None]]:
    """Declares every actor on the app's broker. Call it once a process, after logging is configured."""
    broker = app.broker
    dramatiq.set_encoder(middleware.ForgivingEncoder())
    broker.add_middleware(middleware.JobContext())
    broker.add_middleware(CurrentMessage())  # whose message holds a lease: workers.topups
    jobs: list[tuple[str, Job, Policy]] = [
        (queue.CHECK_THRESHOLD, topups.check_threshold, Policy(STRIPE_LIMIT_MS, tries=2)),
        (queue.CHARGE_TOPUP, topups.charge_topup, Policy(STRIPE_LIMIT_MS, tries=2)),
        (queue.PROCESS_EVENT, events.process_event, Policy(STRIPE_LIMIT_MS, tries=2)),
        (queue.CHECK_PAYMENT, purchases.check_payment, Policy(STRIPE_LIMIT_MS)),
        (queue.CHECK_SUBSCRIPTION, subscriptions.check_subscription, Policy(STRIPE_LIMIT_MS)),
        (queue.RECORD_USAGE, usage.record_usage, Policy(300 * SECOND_MS, keeps=True)),
        (queue.SEND_NOTICE, delivery.send_notice, Policy(60 * SECOND_MS)),
        (queue.SWEEP, maintenance.sweep, Policy(120 * SECOND_MS)),
        (queue.PRUNE, maintenance.prune, Policy(120 * SECOND_MS, periodic_tries=DAY_TRIES)),
        (
            queue.ROLL_UP_USAGE,
            maintenance.roll_up_usage,
            Policy(1800 * SECOND_MS, periodic_tries=HOUR_TRIES),
        ),
        (queue.RUN_CHECKS, maintenance.run_checks, Policy(600 * SECOND_MS, periodic_tries=HOUR_TRIES)),
        (queue.RECONCILE, reconciliation.reconcile, Policy(STRIPE_LIMIT_MS, periodic_tries=HOUR_TRIES)),
    ]
    return {name: _declare(app, name, job, policy) for name, job, policy in jobs}


def _declare(app: App, name: str, job: Job, policy: Policy) -> dramatiq.Actor[..., None]:
    decorate = dramatiq.actor(
        actor_name=name,
        queue_name=queue.ACTORS[name],
        broker=app.broker,
        throws=Refused,
        retry_when=policy.again,
        min_backoff=2 * SECOND_MS,
        max_backoff=15 * SECOND_MS,
        time_limit=policy.time_limit_ms,
    )
    return decorate(retrying.wrap(name, functools.partial(job, app), policy))
