"""When a message is tried again, and what is logged meanwhile.

A message of usage has no row behind it: it is tried until it is booked, whatever fails, unless Refill itself refuses it.
Everything else has a row or a next slot: what is away (Transient) is no fault of the message, so it ends quietly after a few
tries, never as a dead letter, and the sweep takes it up again. Faults of ours get the same tries, and then are dead letters.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

import dramatiq

from shared.errors import DatabaseUnavailable, Refused, Transient
from shared.outages import Outages
from workers import middleware

log = logging.getLogger(__name__)

Job = Callable[..., object]
MINUTE_MS: Final = 60_000
USAGE_WAIT_MS: Final = 30_000
# A message that fails alone waits longer: it is not the database that must come back.
ALONE_WAIT_MS: Final = 10 * MINUTE_MS
ALONE_TRIES: Final = 8


@dataclasses.dataclass(frozen=True)
class Policy:
    """tries: after the first. periodic_tries: of a job without a row, a minute apart, while something is away. keeps: tried
    for ever.
    """

    time_limit_ms: int
    tries: int = 0
    periodic_tries: int = 0
    keeps: bool = False

    def again(self, retries: int, error: BaseException) -> bool:
        """Whether a message that failed is tried again. retries: how often it was before."""
        return self.keeps or isinstance(error, dramatiq.Retry) or retries < self.tries


def wrap(name: str, job: Job, policy: Policy) -> Callable[..., None]:
    """The job with what its policy makes of failures."""
    keeper = _Keeper() if policy.keeps else None

    def run(*args: Any) -> None:
        try:
            job(*args)
        except Refused:
            raise
        except Exception as error:
            if keeper is not None:
                raise keeper.failed(error) from error
            if not isinstance(error, Transient):
                raise
            _away(policy, error)
        else:
            if keeper is not None:
                keeper.booked()

    run.__name__ = name
    return run


def _away(policy: Policy, error: Transient) -> None:
    """Tries again soon, or leaves it to the sweep."""
    retries = int(middleware.current_options().get("retries", 0))
    if retries < policy.periodic_tries:
        raise dramatiq.Retry(error.detail, delay=MINUTE_MS) from error
    if retries < policy.tries:
        raise dramatiq.Retry(error.detail, delay=_wait(retries, 15_000)) from error
    log.info("left to the sweep", extra={"reason": error.detail})


class _Keeper:
    """Failures of messages that are never given up, and whether others succeed meanwhile. Of one process."""

    def __init__(self) -> None:
        self._outages = Outages()
        self._booked_at = 0.0

    def booked(self) -> None:
        """A message has succeeded."""
        self._booked_at = time.time()

    def failed(self, error: Exception) -> dramatiq.Retry:
        """How the message is tried again. Logs one line an outage; one for each message that fails while others do not."""
        options = middleware.current_options()
        retries = int(options.get("retries", 0))
        facts = {
            "tries": retries + 1,
            "reason": f"{type(error).__name__}: {getattr(error, 'message', '') or error}",
        }
        alone = retries >= ALONE_TRIES and self._booked_at > options.get("requeue_timestamp", 0) / 1000
        message = middleware.current_id()
        if alone and self._outages.is_news(message):
            log.error("usage message keeps failing, others are booked", extra=facts)
        # shared.db has said it of the database.
        elif not isinstance(error, DatabaseUnavailable) and self._outages.is_news(type(error).__name__):
            log.error("usage waits", extra=facts, exc_info=error)
        return dramatiq.Retry("usage waits", delay=_wait(retries, ALONE_WAIT_MS if alone else USAGE_WAIT_MS))


def _wait(retries: int, longest_ms: int) -> int:
    """Milliseconds: a second, doubling, with jitter."""
    return int(min(longest_ms, 1_000 * 2 ** min(retries, 20)) * random.uniform(0.75, 1.25))  # noqa: S311  # no secret
