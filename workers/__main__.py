"""`python -m workers payments|worker|all`: charges have their own process, never behind usage or mail."""

from __future__ import annotations

import argparse
import sys

from shared import observability, queue, settings
from shared.errors import SettingsError
from workers import actors, app, process

KINDS = {
    "payments": (queue.PAYMENTS,),
    "worker": (queue.EVENTS, queue.USAGE, queue.NOTIFICATIONS, queue.MAINTENANCE),
    "all": queue.QUEUES,
}
THREADS_DEFAULT = 8


def main() -> int:
    """Runs one worker process; 2 when the settings are wrong."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Runs Refill's background jobs.")
    parser.add_argument("kind", choices=KINDS, help="which queues to work on")
    parser.add_argument("--threads", type=int, default=THREADS_DEFAULT, help="jobs at the same time")
    arguments = parser.parse_args()
    try:
        loaded = settings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    observability.configure(loaded, arguments.kind)
    built = app.build(loaded, threads=arguments.threads)
    actors.declare(built)
    process.run_worker(built, KINDS[arguments.kind], arguments.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
