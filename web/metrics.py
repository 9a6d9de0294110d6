"""Prometheus metrics, computed when asked for: from the tables, and from Redis for what waits there."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from dramatiq.brokers.redis import RedisBroker
from dramatiq.message import Message
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from redis import RedisError

from shared.errors import RefillError
from shared.queue import QUEUES, Queue
from web.services import Services

CONTENT_TYPE = CONTENT_TYPE_LATEST
log = logging.getLogger(__name__)


def render(services: Services) -> bytes:
    """The metrics as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(services))
    return generate_latest(registry)


def ping_queue(queue: Queue) -> None:
    """Raises RedisError when the broker's Redis does not answer. RabbitMQ says so when it is enqueued to."""
    if isinstance(queue.broker, RedisBroker):
        queue.broker.client.ping()


def queue_depths(queue: Queue) -> dict[str, dict[str, float]]:
    """Of every queue: messages waiting, delayed, dead, and to be tried again, and the age of the oldest in seconds."""
    if not isinstance(queue.broker, RedisBroker):
        return {}
    return {name: _depth(queue.broker, name) for name in QUEUES}


def _depth(broker: RedisBroker, name: str) -> dict[str, float]:
    space = broker.namespace
    pipe = broker.client.pipeline(transaction=False)
    pipe.llen(f"{space}:{name}")
    pipe.llen(f"{space}:{name}.DQ")
    pipe.zcard(f"{space}:{name}.XQ")
    # A worker that waits for a delayed message has taken its id off the list; the message stays in the hash.
    pipe.hlen(f"{space}:{name}.DQ.msgs")
    pipe.lindex(f"{space}:{name}", 0)
    waiting, delayed, dead, retried, oldest_id = pipe.execute()
    return {
        "waiting": waiting,
        "delayed": delayed,
        "dead": dead,
        "retried": retried,
        "oldest_age_seconds": _age(broker, name, oldest_id),
    }


def _age(broker: RedisBroker, name: str, message_id: bytes | None) -> float:
    found: Any = message_id and broker.client.hget(f"{broker.namespace}:{name}.msgs", message_id.decode())
    try:
        return max(0.0, time.time() - Message.decode(found).message_timestamp / 1000) if found else 0.0
    except Exception:  # noqa: BLE001  # a message that nobody can read has no age
        return 0.0


class _Collector:
    """Reads everything anew for each scrape; what is away is left out and shown as down."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """See prometheus_client.registry.Collector."""
        up = GaugeMetricFamily("refill_up", "Whether a part answered this scrape.", labels=["part"])
        for part, read in (("postgres", self._database), ("redis", self._queues)):
            try:
                yield from list(read())
                up.add_metric([part], 1)
            except (RefillError, RedisError, OSError) as error:
                log.warning("metrics: %s did not answer: %s", part, error)
                up.add_metric([part], 0)
        yield up

    def _database(self) -> Iterator[GaugeMetricFamily]:
        for name, value in sorted(_numbers(self._services.ledger.operations_summary())):
            yield GaugeMetricFamily(
                f"refill_{name}", f"{name.replace('_', ' ')}, from the tables.", value=value
            )
        age = GaugeMetricFamily(
            "refill_job_age_seconds", "Seconds since a periodic job last fired.", labels=["job"]
        )
        for job in self._services.ledger.job_status():
            if job["age_seconds"] is not None:
                age.add_metric([job["job"]], job["age_seconds"])
        yield age

    def _queues(self) -> Iterator[GaugeMetricFamily]:
        depths = queue_depths(self._services.queue)
        for measure in ("waiting", "delayed", "dead", "retried"):
            gauge = GaugeMetricFamily(f"refill_queue_{measure}", f"Messages {measure}.", labels=["queue"])
            for name, depth in depths.items():
                gauge.add_metric([name], depth[measure])
            yield gauge
        oldest = GaugeMetricFamily(
            "refill_queue_oldest_age_seconds", "Age of the oldest waiting message.", labels=["queue"]
        )
        for name, depth in depths.items():
            oldest.add_metric([name], depth["oldest_age_seconds"])
        yield oldest


def _numbers(summary: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a nested summary under its joined name."""
    for name, value in summary.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}_")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)
