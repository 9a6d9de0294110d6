"""Usage that platforms put on the queue: booked once each; what cannot be booked is kept for an operator."""

from __future__ import annotations

import json
import logging
from typing import Any

from shared import queue
from shared.db_errors import READ_ONLY
from shared.errors import DatabaseUnavailable, Refused
from shared.usage_events import EVENTS_MAX, normalize_usage
from workers.app import App

log = logging.getLogger(__name__)

RAW_LENGTH_MAX = 8_192
# So many calls of one message may fail before the rest of it waits for the next try; a thousand events halve ten times.
FAILURES_MAX = 24


def record_usage(app: App, events: Any) -> None:
    """Books the body of one message: an event, an array, a CloudEvent or an array of CloudEvents.

    Raises DatabaseUnavailable when something of it could not be booked; the rest was. A repeat books what is missing.
    """
    batch = events if isinstance(events, list) else [events]
    booking = _Booking(app)
    for start in range(0, len(batch), EVENTS_MAX):
        booking.record(batch[start : start + EVENTS_MAX])
    if booking.error is not None:
        raise booking.error


class _Booking:
    """One message. error: the first failure of the database, which the rest of the message does not wait for."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.error: DatabaseUnavailable | None = None
        self.failures = 0

    def record(self, batch: list[Any]) -> None:
        """Books up to EVENTS_MAX raw events."""
        good, rejected = normalize_usage(batch)
        for entry in rejected:
            log.error("usage rejected", extra={"event": entry["id"], "code": entry["code"]})
            good.append(_unreadable(batch[entry["index"]], entry["id"], entry["code"]))
        self.book(good)

    def book(self, events: list[dict[str, Any]]) -> None:
        """Books events. One that the database refuses, or fails over, does not take its neighbours along."""
        app = self.app
        if self.failures >= FAILURES_MAX:
            return
        try:
            result = app.ledger.record_usage(events, park=True)
        except Refused as error:
            if len(events) == 1:
                log.exception("usage parked", extra={"event": events[0].get("id"), "code": error.code})
                stand_in = _unreadable(events[0], events[0].get("id"), error.code)
                app.ledger.record_usage([stand_in], park=True)
                return
            for event in events:
                self.book([event])
            return
        except DatabaseUnavailable as error:
            self._failed(events, error)
            return
        if result["rejected"]:
            rejected = {"events": result["rejected"][:10], "count": len(result["rejected"])}
            log.error("usage parked", extra=rejected)
        for account_id in result["topup_due"]:
            app.queue.hint(queue.CHECK_THRESHOLD, account_id)

    def _failed(self, events: list[dict[str, Any]], error: DatabaseUnavailable) -> None:
        """By halves, in case only one of them is the trouble; not when the database is away as a whole."""
        self.error = self.error or error
        self.failures += 1
        if error.sqlstate is None or error.sqlstate == READ_ONLY:
            self.failures = FAILURES_MAX
        if len(events) == 1:
            return
        middle = len(events) // 2
        self.book(events[:middle])
        self.book(events[middle:])


def _unreadable(raw: Any, event_id: str | None, code: str) -> dict[str, Any]:
    """A stand-in that the database takes and never books: parked as invalid_value, as no card could price it."""
    account = raw.get("account_id") if isinstance(raw, dict) else None
    shown = account if isinstance(account, str) and account.isprintable() else None
    text = json.dumps(raw)[:RAW_LENGTH_MAX]
    return {"id": event_id, "account_id": shown, "amount": 0, "rejected": code, "raw": text}
