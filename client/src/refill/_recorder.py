"""Usage goes out in batches from a thread of its own; what the service cannot take now waits in the spool."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refill._delivery import EVENTS_MAX, Away, Delivery, Rejected, leading
from refill._flow import Policy
from refill._fork import register
from refill._spool import USAGE, Entry, Spool
from refill._transport import Transport
from refill.errors import SpoolFull, Unavailable

log = logging.getLogger("refill")
OTHERS_TURN_SECONDS = 0.5


@dataclass(frozen=True)
class Recording:
    """How usage is batched: a call goes out at `size` events or after `interval` seconds.

    durable: each event is on disk before usage() returns. block: usage() waits while the spool is full.
    """

    size: int = 500
    interval: float = 0.2
    durable: bool = False
    block: bool = False
    on_rejected: Rejected | None = None


class Recorder:
    """The buffer, its thread, and the spool behind them."""

    def __init__(self, spool: Spool, transport: Transport, policy: Policy, options: Recording) -> None:
        self._spool, self._policy, self._options = spool, policy, options
        self._delivery = Delivery(transport, policy.timeout, options.on_rejected)
        self._begin()
        register(self)
        if self._spooled.events:
            self._wake()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._buffer: list[str] = []
        self._bytes = 0
        self._unsent = 0
        """Events of the batch that is on its way."""
        self._spooled = self._spool.size()
        self._thread: threading.Thread | None = None
        self._dirty = self._urgent = self._stopping = self.closed = False
        self._failures, self._next_try = 0, 0.0

    def after_fork(self) -> None:
        """The parent keeps what was in the buffer; the child begins with an empty one."""
        if not self.closed:
            self._spool.reopen()
            self._begin()

    # For callers

    def put(self, event: Mapping[str, Any]) -> None:
        """Take an event; SpoolFull when as much waits as may. Not durable: some microseconds."""
        text = json.dumps(event, separators=(",", ":"), allow_nan=False)
        while True:
            try:
                return self._put(text)
            except SpoolFull:
                if not self._options.block:
                    raise
            with self._changed:
                self._wake_locked(urgent=True)
                self._changed.wait(self._options.interval)

    def _put(self, text: str) -> None:
        if self.closed:
            raise Unavailable("the client is closed")
        if self._options.durable:
            spooled = self._spool.append([Entry(USAGE, text)])
            with self._changed:
                self._spooled = spooled
                if not self._dirty:
                    self._wake_locked()
            return
        with self._changed:
            if self._is_full(len(text)):
                # Others may have made room meanwhile.
                self._spooled = self._spool.size()
                if self._is_full(len(text)):
                    raise SpoolFull(f"{self.waiting()} events wait for the service")
            self._buffer.append(text)
            self._bytes += len(text)
            if not self._dirty or len(self._buffer) == self._options.size:
                self._wake_locked()

    def _is_full(self, more: int) -> bool:
        waiting = len(self._buffer) + self._unsent + self._spooled.events
        return (
            waiting >= self._spool.max_events
            or self._bytes + self._spooled.bytes + more > self._spool.max_bytes
        )

    def keep(
        self, entries: Sequence[Entry], *, bounded: bool = False, lending_limit: int | None = None
    ) -> None:
        """Put straight into the spool what must not be lost."""
        self._spool.append(entries, bounded=bounded, lending_limit=lending_limit)
        self._wake()

    def room_to_lend(self, micro: int, limit: int) -> bool:
        """Whether so much more may be let through while the service is away."""
        return self._spool.size().lent + micro <= limit

    def waiting(self) -> int:
        """Events that the service does not have yet."""
        with self._changed:
            return len(self._buffer) + self._unsent + self._spool.size().events

    def flush(self, timeout: float) -> None:
        """Wait until the service has everything; Unavailable when it has not by then."""
        end = time.monotonic() + timeout
        self._next_try = 0.0
        while waiting := self.waiting():
            left = end - time.monotonic()
            if left <= 0:
                raise Unavailable(f"{waiting} events still wait for the service")
            with self._changed:
                self._wake_locked(urgent=True)
                self._changed.wait(min(left, self._options.interval))

    def close(self, timeout: float) -> None:
        """Send what there is; what cannot be sent in time stays in the spool, or is lost when that is memory."""
        if self.closed:
            return
        atexit.unregister(self.close)
        with contextlib.suppress(Unavailable):
            self.flush(timeout)
        with self._changed:
            self.closed = self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self._policy.timeout + 1)
        self._spool_buffer()
        left = self._spool.size().events
        if left and self._spool.directory is None:
            log.error(
                "refill: %d events are lost: the service is away and no spool directory was named", left
            )
        if self._thread is None or not self._thread.is_alive():
            self._spool.close()

    # The thread

    def _wake(self) -> None:
        with self._changed:
            self._spooled = self._spool.size()
            self._wake_locked()

    def _wake_locked(self, *, urgent: bool = False) -> None:
        self._dirty = True
        self._urgent = self._urgent or urgent
        if self._thread is None and not self.closed:
            self._thread = threading.Thread(target=self._work, name="refill-usage", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while not self._stopping:
            with self._changed:
                self._changed.wait_for(lambda: self._dirty or self._stopping, self._until_next_try())
                self._changed.wait_for(self._is_due, self._options.interval)
                self._dirty = self._urgent = False
            try:
                self._step()
            except Exception:
                # Whatever it was, what is in the buffer and the spool stays there for the next time.
                log.exception("refill: recording usage failed, trying again")
                self._failed(Away("an error"))

    def _is_due(self) -> bool:
        return len(self._buffer) >= self._options.size or self._urgent or self._stopping

    def _until_next_try(self) -> float | None:
        return max(0.0, self._next_try - time.monotonic()) if self._spooled.events else None

    def _step(self) -> None:
        """Send the buffer; after a failure, or behind something that waits, it goes into the spool."""
        try:
            while self._buffer and not self._spool.size().events and self._may_try():
                self._send_buffer()
            self._spool_buffer()
            if self._may_try():
                self._drain()
        except Away as away:
            self._failed(away)
        finally:
            self._note_size()

    def _may_try(self) -> bool:
        return self._next_try <= time.monotonic() and not self._stopping

    def _take(self, limit: int | None) -> list[Entry]:
        with self._changed:
            taken = self._buffer[:limit]
            self._buffer = self._buffer[len(taken) :]
            self._bytes -= sum(map(len, taken))
            self._unsent = len(taken)
        return [Entry(USAGE, text) for text in taken]

    def _spool_buffer(self) -> None:
        taken = self._take(None)
        if taken:
            self._spool.append(taken, bounded=False)
        self._note_size()

    def _send_buffer(self) -> None:
        """One attempt; then the spool, so that the death of this process loses nothing while the service is away."""
        batch = self._take(EVENTS_MAX)
        try:
            self._delivery.deliver(batch)
        except BaseException:
            self._spool.append(batch, bounded=False)
            raise
        finally:
            self._note_size()
        self._failures = 0

    def _drain(self) -> None:
        """In order, one process at a time."""
        with self._spool.draining() as mine:
            if not mine:
                self._next_try = time.monotonic() + OTHERS_TURN_SECONDS
                return
            while not self._stopping and (entries := self._spool.head(EVENTS_MAX)):
                batch = leading(entries)
                self._spool.replace(batch, self._delivery.deliver(batch))
                self._failures = 0
                self._note_size()

    def _note_size(self) -> None:
        with self._changed:
            self._unsent, self._spooled = 0, self._spool.size()
            self._changed.notify_all()

    def _failed(self, away: Away) -> None:
        self._next_try = time.monotonic() + self._policy.wait(self._failures, away.retry_after)
        if self._failures == 0:
            log.warning("refill: usage waits for the service: %s", away)
        self._failures += 1
