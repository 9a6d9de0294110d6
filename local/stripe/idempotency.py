"""Idempotency keys of Stripe's v1 API: the first answer is saved once execution begins, and replayed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable

from local.stripe.errors import key_in_use, key_mismatch
from local.stripe.store import Store

LIFE = 24 * 3600
"""Seconds that a key is kept (docs.stripe.com/api/idempotent_requests); after that it executes again."""


class Keys:
    """Saved answers in the store (same transaction as their effects), keys in flight in memory."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._in_flight: dict[str, str] = {}

    @staticmethod
    def fingerprint(method: str, path: str, pairs: Iterable[tuple[str, str]]) -> str:
        return hashlib.sha256(repr((method, path, sorted(pairs))).encode()).hexdigest()

    def begin(self, key: str, fingerprint: str) -> tuple[int, str, str] | None:
        """The saved (status, body, request id), or None when the caller shall execute and then call `end`."""
        with self._lock:
            if key in self._in_flight:
                raise key_in_use(key) if self._in_flight[key] == fingerprint else key_mismatch(key)
            self._store.db.execute("delete from idempotency where created <= ?", (self._now() - LIFE,))
            row = self._store.db.execute(
                "select fingerprint, status, body, request_id from idempotency where key = ?", (key,)
            ).fetchone()
            if row is None:
                self._in_flight[key] = fingerprint
                return None
        if row["fingerprint"] != fingerprint:
            raise key_mismatch(key)
        return row["status"], row["body"], row["request_id"]

    def save(self, key: str, fingerprint: str, status: int, body: str, request_id: str) -> None:
        """Keep the answer; called inside the transaction that holds the effects."""
        self._store.db.execute(
            "insert or replace into idempotency values (?, ?, ?, ?, ?, ?)",
            (key, fingerprint, status, body, request_id, self._now()),
        )

    def end(self, key: str) -> None:
        with self._lock:
            self._in_flight.pop(key, None)

    def prune(self, key: str | None = None) -> int:
        """Forget one key or all, as Stripe may after 24 hours."""
        return self._store.db.execute("delete from idempotency where ?1 is null or key = ?1", (key,)).rowcount
