"""One log line an outage: what fails a thousand times in a row is said once, and once more an hour while it lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import Final

# After so long without a failure the next one is another outage.
QUIET_SECONDS: Final = 300.0
REMINDER_SECONDS: Final = 3600.0


class Outages:
    """Failures by what failed. Of one process; may be used by all of its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[Hashable, float] = {}
        self._said: dict[Hashable, float] = {}

    def is_news(self, what: Hashable) -> bool:
        """Notes a failure; True when it should be logged: the first of an outage, or the first for an hour."""
        now = time.monotonic()
        with self._lock:
            last = self._last.get(what)
            self._last[what] = now
            goes_on = last is not None and now - last < QUIET_SECONDS
            if goes_on and now - self._said[what] < REMINDER_SECONDS:
                return False
            self._said[what] = now
            self._forget(now)
            return True

    def _forget(self, now: float) -> None:
        for what in [what for what, last in self._last.items() if now - last > QUIET_SECONDS]:
            del self._last[what], self._said[what]
