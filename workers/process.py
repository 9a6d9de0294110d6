"""A worker process: waits for what it needs, runs Dramatiq's worker in itself, stops when told to.

One process, no children: killing it kills all of it, and its messages come back to the others. To use more
cores, start more of them.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Collection
from types import FrameType

from dramatiq import Worker
from dramatiq.brokers.redis import RedisBroker

from workers.app import App
from workers.recovery import renew_identity_on_reconnect

log = logging.getLogger(__name__)

WORKER_TIMEOUT_MS = 100
STOP_TIMEOUT_MS = 30_000
WAIT_SECONDS_MAX = 5.0


def run_worker(app: App, queues: Collection[str], threads: int) -> None:
    """Works on the queues until SIGTERM or SIGINT; then ends the jobs at hand and gives back the others."""
    stop = stop_on_signals()
    if not wait_for_services(app, stop):
        return
    renew_identity_on_reconnect(app.broker)
    app.broker.emit_after("process_boot")
    worker = Worker(app.broker, queues=set(queues), worker_timeout=WORKER_TIMEOUT_MS, worker_threads=threads)
    worker.start()
    log.info("ready", extra={"queues": sorted(queues), "threads": threads})
    stop.wait()
    log.info("stopping")
    worker.stop(timeout=STOP_TIMEOUT_MS)
    app.broker.close()
    app.ledger.database.close()
    log.info("stopped")


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


def wait_for_services(app: App, stop: threading.Event) -> bool:
    """Waits until database and broker answer; False when told to stop before."""
    return wait_for("the database", app.ledger.database.ping, stop) and wait_for(
        "the queue", lambda: ping_broker(app), stop
    )


def wait_for(what: str, ping: Callable[[], object], stop: threading.Event) -> bool:
    """Calls ping until it does not raise, with growing waits; says once a wait what it waits for."""
    delay = 0.25
    while not stop.is_set():
        try:
            ping()
        except Exception as error:  # noqa: BLE001  # a driver's many ways of saying that nobody is there
            log.warning("waiting for %s", what, extra={"error": f"{type(error).__name__}: {error}"})
        else:
            return True
        stop.wait(delay)
        delay = min(WAIT_SECONDS_MAX, delay * 2)
    return False


def ping_broker(app: App) -> None:
    """Raises unless the broker answers. RabbitMQ connects by itself when first used."""
    if isinstance(app.broker, RedisBroker):
        app.broker.client.ping()
