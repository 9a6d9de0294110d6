"""One thread a client that extends holds before they expire."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable

from refill._fork import register
from refill.errors import RefillError, Unavailable

log = logging.getLogger("refill")
RETRY_SHARE = 0.25
"""Of a period, after a beat that did not get through."""


class Heart:
    """Calls what was added again and again, until it is removed or refused."""

    def __init__(self) -> None:
        self.after_fork()
        register(self)

    def after_fork(self) -> None:
        """The parent goes on with its own."""
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._beats: dict[int, tuple[float, float, Callable[[], object]]] = {}
        self._thread: threading.Thread | None = None

    def add(self, beat: Callable[[], object], seconds: float) -> int:
        """Call `beat` every so many seconds; the number is for remove()."""
        with self._changed:
            number = next(self._numbers)
            self._beats[number] = (time.monotonic() + seconds, seconds, beat)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="refill-heart", daemon=True)
                self._thread.start()
            self._changed.notify()
            return number

    def remove(self, number: int) -> None:
        """Stop calling it; a call that is under way ends first or later."""
        with self._changed:
            self._beats.pop(number, None)

    def _work(self) -> None:
        while True:
            with self._changed:
                due = min((at for at, _, _ in self._beats.values()), default=None)
                now = time.monotonic()
                if due is None or due > now:
                    self._changed.wait(None if due is None else due - now)
                    continue
                number, (_, seconds, beat) = min(self._beats.items(), key=lambda pair: pair[1][0])
            wait = self._call(beat, seconds)
            with self._changed:
                if number in self._beats:
                    if wait is None:
                        del self._beats[number]
                    else:
                        self._beats[number] = (time.monotonic() + wait, seconds, beat)

    @staticmethod
    def _call(beat: Callable[[], object], seconds: float) -> float | None:
        try:
            beat()
        except Unavailable:
            return seconds * RETRY_SHARE
        except RefillError as refused:
            log.warning("refill: no heartbeat any more: %s", refused)
            return None
        return seconds
