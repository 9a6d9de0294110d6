"""Messages that Redis handed out just before a connection broke come back, although their worker lives on.

Dramatiq 2.2 gives a worker's messages back only when the worker's heartbeat stops. A fetch whose answer was
lost, and delayed messages that a worker forgets when its connection breaks, stay handed out while it lives
(github.com/Bogdanp/dramatiq/issues/527). So a consumer that starts again takes a new identity: the old one's
heartbeat stops, and after the heartbeat time-out its messages return to the queue. What was being worked on
then may run twice, which every job here allows for.
"""

from __future__ import annotations

import logging
import threading
import uuid
from typing import Any

from dramatiq import Broker, Consumer
from dramatiq.brokers.redis import RedisBroker

log = logging.getLogger(__name__)


def renew_identity_on_reconnect(broker: Broker) -> None:
    """Makes a consumer that restarts leave the identity behind under which it fetched. Redis only."""
    if not isinstance(broker, RedisBroker):
        return
    consume = broker.consume
    fetched_as: dict[str, str] = {}
    lock = threading.Lock()

    def consume_anew(queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        with lock:
            if fetched_as.get(queue_name) == broker.broker_id:
                broker.broker_id = str(uuid.uuid4())
                log.warning("connection to the queue renewed", extra={"queue": queue_name})
            fetched_as[queue_name] = broker.broker_id
        made: Any = consume(queue_name, prefetch, timeout)
        return made  # type: ignore[no-any-return]

    broker.consume = consume_anew  # type: ignore[method-assign]
