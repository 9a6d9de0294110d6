"""What every job works with, built once per process by `build` and passed in; tests build their own."""

from __future__ import annotations

import dataclasses

import dramatiq

from shared import db
from shared.ledger import Ledger
from shared.queue import Queue, make_broker
from shared.settings import Settings
from shared.stripe_client import StripeGateway, make_gateway

# Longer than a web request may wait: a time-out inside a fetch strands what was fetched.
BROKER_TIMEOUT_SECONDS = 15


@dataclasses.dataclass(frozen=True)
class App:
    """Settings, the books, Stripe and the queue."""

    settings: Settings
    ledger: Ledger
    gateway: StripeGateway
    queue: Queue

    @property
    def broker(self) -> dramatiq.Broker:
        """The broker behind the queue."""
        return self.queue.broker


def build(settings: Settings, *, threads: int) -> App:
    """Everything that the settings ask for, one database connection a thread; contacts nothing yet."""
    return App(
        settings=settings,
        ledger=Ledger(db.connect(settings, pool_size=threads + 1)),
        gateway=make_gateway(settings),
        queue=Queue(make_broker(settings, timeout_seconds=BROKER_TIMEOUT_SECONDS)),
    )
