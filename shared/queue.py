"""The queue: broker, queue names, actor names, and `enqueue`. Messages carry ids only (record_usage apart).

The table is the truth, the queue is a hint: whoever enqueues has committed a row first, and the sweep finds rows whose
message got lost. So a failing enqueue is logged, not raised, wherever a row stands behind it.
"""

from __future__ import annotations

import logging
from typing import Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.errors import QueueUnavailable
from shared.settings import Settings

log = logging.getLogger(__name__)

PAYMENTS: Final = "payments"
EVENTS: Final = "events"
USAGE: Final = "usage"
NOTIFICATIONS: Final = "notifications"
MAINTENANCE: Final = "maintenance"
QUEUES: Final = (PAYMENTS, EVENTS, USAGE, NOTIFICATIONS, MAINTENANCE)

# Actor name -> queue. Actors are declared in workers under these names; everybody else enqueues by name.
PROCESS_EVENT: Final = "process_event"
CHECK_THRESHOLD: Final = "check_threshold"
CHARGE_TOPUP: Final = "charge_topup"
CHECK_PAYMENT: Final = "check_payment"
CHECK_SUBSCRIPTION: Final = "check_subscription"
RECORD_USAGE: Final = "record_usage"
SEND_NOTICE: Final = "send_notice"
SWEEP: Final = "sweep"
RUN_CHECKS: Final = "run_checks"
RECONCILE: Final = "reconcile"
PRUNE: Final = "prune"
ROLL_UP_USAGE: Final = "roll_up_usage"
ACTORS: Final = {
    PROCESS_EVENT: EVENTS,
    CHECK_THRESHOLD: PAYMENTS,
    CHARGE_TOPUP: PAYMENTS,
    CHECK_PAYMENT: EVENTS,
    CHECK_SUBSCRIPTION: EVENTS,
    RECORD_USAGE: USAGE,
    SEND_NOTICE: NOTIFICATIONS,
    SWEEP: MAINTENANCE,
    RUN_CHECKS: MAINTENANCE,
    RECONCILE: MAINTENANCE,
    PRUNE: MAINTENANCE,
    ROLL_UP_USAGE: MAINTENANCE,
}

# A killed worker's messages come back after this silence; a worker sends a heartbeat with every command, several a second.
HEARTBEAT_TIMEOUT_MS: Final = 12_000
# Recovery runs inside a random share of broker commands, out of a million: dramatiq's default of 1,000 took ten minutes.
MAINTENANCE_CHANCE: Final = 50_000


def make_broker(settings: Settings, *, timeout_seconds: float) -> dramatiq.Broker:
    """A broker for BROKER_URL (RabbitMQ) or else REDIS_URL. The time-out bounds what one command may wait."""
    if settings.broker_url is not None:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415 - needs pika, which only this choice needs

        return RabbitmqBroker(url=settings.broker_url.get_secret_value())
    client = Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=client, heartbeat_timeout=HEARTBEAT_TIMEOUT_MS, maintenance_chance=MAINTENANCE_CHANCE
    )


class Queue:
    """Sends messages to actors by name."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self.broker = broker

    def enqueue(self, actor: str, *args: object) -> None:
        """Sends one message; raises QueueUnavailable when the broker cannot take it."""
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=ACTORS[actor], actor_name=actor, args=args, kwargs={}, options={}
        )
        try:
            self.broker.enqueue(message)
        except (RedisError, BrokerConnectionError, OSError) as error:
            raise QueueUnavailable(f"the queue did not take a {actor} message") from error

    def hint(self, actor: str, *args: object) -> None:
        """Sends one message for which a committed row stands: when the broker is away, the sweep finds the row."""
        try:
            self.enqueue(actor, *args)
        except QueueUnavailable:
            log.warning("queue away, the sweep takes over", extra={"actor": actor, "subject": args})
