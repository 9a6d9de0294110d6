"""Usage that platforms put on the queue: booked once each; what cannot be booked is kept for an operator."""

from __future__ import annotations

import json
import logging
from typing import Any

from shared import queue
from shared.errors import Refused
from shared.usage_events import EVENTS_MAX, normalize_usage
from workers.app import App

log = logging.getLogger(__name__)

RAW_LENGTH_MAX = 8_192


def record_usage(app: App, events: Any) -> None:
    """Books the body of one message: an event, an array, a CloudEvent or an array of CloudEvents."""
    batch = events if isinstance(events, list) else [events]
    for start in range(0, len(batch), EVENTS_MAX):
        _record(app, batch[start : start + EVENTS_MAX])


def _record(app: App, batch: list[Any]) -> None:
    good, rejected = normalize_usage(batch)
    for entry in rejected:
        log.error("usage rejected", extra={"event": entry["id"], "code": entry["code"]})
        good.append(_unreadable(batch[entry["index"]], entry["id"], entry["code"]))
    _book(app, good)


def _book(app: App, events: list[dict[str, Any]]) -> None:
    try:
        result = app.ledger.record_usage(events, park=True)
    except Refused as error:
        if len(events) == 1:
            log.exception("usage parked", extra={"event": events[0].get("id"), "code": error.code})
            app.ledger.record_usage([_unreadable(events[0], events[0].get("id"), error.code)], park=True)
            return
        # One event that the database cannot hold must not take its neighbours along.
        for event in events:
            _book(app, [event])
        return
    if result["rejected"]:
        log.error("usage parked", extra={"events": result["rejected"][:10], "count": len(result["rejected"])})
    for account_id in result["topup_due"]:
        app.queue.hint(queue.CHECK_THRESHOLD, account_id)


def _unreadable(raw: Any, event_id: str | None, code: str) -> dict[str, Any]:
    """A stand-in that the database takes and never books: parked as invalid_value, as no card could price it."""
    account = raw.get("account_id") if isinstance(raw, dict) else None
    shown = account if isinstance(account, str) and account.isprintable() else None
    text = json.dumps(raw)[:RAW_LENGTH_MAX]
    return {"id": event_id, "account_id": shown, "amount": 0, "rejected": code, "raw": text}
