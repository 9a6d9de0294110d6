"""The dead letters of the broker in use."""

from __future__ import annotations

from redis import Redis

from shared.dead_letters import DeadLetters
from shared.errors import Refused
from shared.settings import Settings


def dead_letters(settings: Settings) -> DeadLetters:
    """Those that Redis keeps; Refused state_conflict with RabbitMQ, which keeps its own."""
    if settings.broker_url is not None:
        raise Refused(
            "The broker is RabbitMQ, which keeps dead letters in its queues *.XQ: use its own tools.",
            code="state_conflict",
            status=409,
        )
    return DeadLetters(Redis.from_url(settings.redis_url.get_secret_value()))
