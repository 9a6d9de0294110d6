"""Sends what waits, one attempt at a time, and judges the answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refill._flow import AGAIN, BAD_REQUEST, Answer, Failure, Send, dump
from refill._spool import SETTLEMENT, SPENT, USAGE, Entry
from refill._transport import Transport

log = logging.getLogger("refill")
EVENTS_MAX = 1_000
BYTES_MAX = 4_000_000
"""Of one call; the service takes 8 MiB."""
# The request itself is at fault: sent again as it is, it is refused again.
_FAULTY = frozenset({400, 413, 422})
# The key is at fault: with another one it would go through.
_FORBIDDEN = frozenset({401, 403})
Rejected = Callable[[Mapping[str, Any], str], None]


class Away(Exception):
    """There was no answer, or one that asks to come again (after so many seconds)."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Delivery:
    """Delivers entries. What the service will never book goes to the log and to `on_rejected`."""

    def __init__(self, transport: Transport, timeout: float, on_rejected: Rejected | None) -> None:
        self._transport, self._timeout, self._on_rejected = transport, timeout, on_rejected

    def deliver(self, batch: Sequence[Entry]) -> list[Entry]:
        """What is to be delivered in their stead: nothing, mostly. Raises Away; then all of it is sent again."""
        if batch[0].kind == SETTLEMENT:
            return self._settle(batch[0])
        answer = self._post("/api/credits/usage", f"[{','.join(entry.body for entry in batch)}]".encode())
        if answer.status in _FAULTY:
            return self._split(batch, answer)
        if answer.status >= BAD_REQUEST or not isinstance(answer.data, dict):
            raise Away(f"HTTP status {answer.status}")
        for rejected in answer.data["rejected"]:
            entry = batch[rejected["index"]]
            known = entry.kind == SPENT and rejected["code"] == "idempotency_conflict"
            if not known and not rejected.get("parked"):
                self._reject(entry, rejected["code"])
        return []

    def _split(self, batch: Sequence[Entry], answer: Answer) -> list[Entry]:
        """The service refuses the whole call: halve it until the event at fault is alone."""
        if len(batch) == 1:
            self._reject(batch[0], _code(answer) or str(answer.status))
            return []
        middle = len(batch) // 2
        return [*self.deliver(batch[:middle]), *self.deliver(batch[middle:])]

    def _settle(self, entry: Entry) -> list[Entry]:
        """A settlement that did not get through; of a hold that is closed by now it becomes usage."""
        kept = json.loads(entry.body)
        answer = self._post(kept["path"], dump(kept["body"]))
        code = _code(answer)
        if answer.status < BAD_REQUEST:
            return []
        if code == "state_conflict":
            return [Entry(USAGE, dump(event).decode()) for event in kept["late"]]
        if code is None or answer.status in _FORBIDDEN:
            raise Away(f"HTTP status {answer.status}")
        self._reject(entry, code)
        return []

    def _post(self, path: str, body: bytes) -> Answer:
        answer = self._transport.perform(Send("POST", path, body, self._timeout))
        if not isinstance(answer, Answer):
            raise Away(answer.detail if isinstance(answer, Failure) else "no answer")
        if answer.status in AGAIN:
            raise Away(f"HTTP status {answer.status}", answer.retry_after)
        return answer

    def _reject(self, entry: Entry, code: str) -> None:
        event = json.loads(entry.body)
        log.error("refill: not booked: %s: %s", code, event.get("id") or event.get("path"))
        if self._on_rejected is not None:
            try:
                self._on_rejected(event, code)
            except Exception:
                log.exception("refill: on_rejected failed")


def _code(answer: Answer) -> str | None:
    code = answer.data.get("code") if isinstance(answer.data, dict) else None
    return code if isinstance(code, str) else None


def leading(entries: Sequence[Entry]) -> list[Entry]:
    """What goes out in the next call: one settlement, or the usage before the next one."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.body)
        if batch and (SETTLEMENT in (entry.kind, batch[0].kind) or size > BYTES_MAX):
            break
        batch.append(entry)
    return batch
