"""`python -m workers.scheduler`: sends the periodic messages. Several may run: a slot fires once.

A slot that is lost, because the queue was away, heals with the next one.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Final

from shared import observability, queue, settings
from shared.errors import QueueUnavailable, SettingsError, Transient
from shared.outages import Outages
from workers import app, process

log = logging.getLogger(__name__)
_outages = Outages()

TICK_SECONDS = 1.0
# Job -> seconds. The sweep's half minute, and the minute or two after which rows fall due, keep the promise
# that a payment whose webhooks are all lost is granted within five minutes.
PERIODS: Final = {
    queue.SWEEP: 30,
    queue.RUN_CHECKS: 3600,
    queue.RECONCILE: 3600,
    queue.PRUNE: 86_400,
    queue.ROLL_UP_USAGE: 3600,
}


def tick(built: app.App) -> list[str]:
    """Enqueues each job whose slot this scheduler won, and answers their names. Survives what is away."""
    fired = []
    for job, period in PERIODS.items():
        try:
            if built.ledger.claim_slot(job, period):
                built.queue.enqueue(job)
                fired.append(job)
        except QueueUnavailable as error:
            if _outages.is_news(error.code):
                log.warning("the queue is away, the next slot takes over", extra={"job": job})
        except Transient as error:
            if _outages.is_news(error.code):
                log.warning("the database is away", extra={"job": job, "reason": error.detail})
        except Exception:
            log.exception("scheduling failed", extra={"job": job})
    return fired


def run(built: app.App, stop: threading.Event) -> None:
    """Ticks until told to stop."""
    log.info("ready", extra={"jobs": PERIODS})
    while not stop.wait(TICK_SECONDS):
        tick(built)
    log.info("stopped")


def main() -> int:
    """Runs the scheduler; 2 when the settings are wrong."""
    try:
        loaded = settings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    observability.configure(loaded, "scheduler")
    built = app.build(loaded, threads=1)
    stop = process.stop_on_signals()
    if process.wait_for_services(built, stop):
        run(built, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
