"""Webhook deliveries: signed as Stripe signs, from threads, repeated until the endpoint answers 2xx.

Deliveries are rows, written with a due time, so that a restarted server goes on with them. Rules of the
control API may lose, delay, duplicate or hold events before they get there.
"""

from __future__ import annotations

import fnmatch
import hashlib
import heapq
import hmac
import http.client
import json
import random
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from local.stripe.engine import Delivery, Engine
from local.stripe.store import Obj

_THREADS = 4
_GRACE = 2.0
_DONE = range(200, 300)


@dataclass
class Rule:
    """`action` is lose, delay, duplicate or hold: for the next `times` (None: all) events of the type."""

    action: str
    type: str = "*"
    times: int | None = None
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.action not in ("lose", "delay", "duplicate", "hold"):
            raise ValueError("action must be lose, delay, duplicate or hold")


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The Stripe-Signature header."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Deliverer:
    """Threads that take due deliveries from a heap."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rules: list[Rule] = []
        self._heap: list[Delivery] = []
        self._wake = threading.Condition()
        self._stopped = False
        self._busy = 0
        engine.plan, engine.dispatch = self.plan, self.push
        pending = engine.store.db.execute("select id, due from deliveries where state = 'pending'")
        self._heap.extend((row["due"], row["id"]) for row in pending)
        heapq.heapify(self._heap)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def plan(self, events: list[Obj]) -> list[Delivery]:
        """Rows for events, in order; runs in the transaction that made the events."""
        planned: list[Delivery] = []
        for event in events if self.engine.webhook_url else []:
            rule = self._take_rule(event["type"])
            action = rule.action if rule else "send"
            state = {"lose": "lost", "hold": "held"}.get(action, "pending")
            due = time.time() + (rule.seconds if rule and action == "delay" else 0)
            for _ in range(2 if action == "duplicate" else 1):
                id = self._insert(event, state, due)
                planned += [(due, id)] if state == "pending" else []
        return planned

    def _take_rule(self, type: str) -> Rule | None:
        for rule in list(self.rules):
            if fnmatch.fnmatchcase(type, rule.type):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule
        return None

    def _insert(self, event: Obj, state: str, due: float) -> int:
        cursor = self.engine.store.db.execute(
            "insert into deliveries (event, type, state, due) values (?, ?, ?, ?)",
            (event["id"], event["type"], state, due),
        )
        return int(cursor.lastrowid or 0)

    def push(self, deliveries: list[Delivery]) -> None:
        """Let the threads know about committed deliveries."""
        with self._wake:
            for delivery in deliveries:
                heapq.heappush(self._heap, delivery)
            self._wake.notify_all()

    def resend(self, event_id: str) -> None:
        """Deliver an event once more, as the Dashboard's button does."""
        with self.engine.lock:
            event = self.engine.need("event", event_id)
            due = time.time()
            id = self._insert(event, "pending", due)
        self.push([(due, id)])

    def release(self, order: str = "fifo") -> int:
        """Let held deliveries go: fifo, reversed, or shuffled. Rules that hold are removed."""
        self.rules = [rule for rule in self.rules if rule.action != "hold"]
        with self.engine.lock:
            rows = self.engine.store.db.execute(
                "select id from deliveries where state = 'held' order by id"
            ).fetchall()
            ids = [int(row["id"]) for row in rows]
            if order == "reversed":
                ids.reverse()
            elif order == "shuffled":
                random.shuffle(ids)
            elif order != "fifo":
                raise ValueError("order must be fifo, reversed or shuffled")
            self.engine.store.db.execute("update deliveries set state = 'pending' where state = 'held'")
        start = time.time()
        self.push([(start + place * 0.02, id) for place, id in enumerate(ids)])
        return len(ids)

    def retry_now(self) -> None:
        """Make every pending delivery due at once."""
        with self._wake:
            self._heap = [(0.0, id) for _, id in self._heap]
            heapq.heapify(self._heap)
            self._wake.notify_all()

    def idle(self) -> bool:
        """Nothing is pending or under way; held and lost deliveries do not count."""
        with self._wake:
            return not self._heap and not self._busy

    def all(self, type: str = "*") -> list[dict[str, Any]]:
        with self.engine.lock:
            rows = self.engine.store.db.execute("select * from deliveries order by id").fetchall()
        return [dict(row) for row in rows if fnmatch.fnmatchcase(row["type"], type)]

    def describe(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]

    def forget(self) -> None:
        with self._wake:
            self._heap.clear()
        self.rules.clear()

    def close(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout=_GRACE)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._heap or self._heap[0][0] > time.time()):
                    self._wake.wait(max(0.0, self._heap[0][0] - time.time()) if self._heap else None)
                if self._stopped:
                    return
                id = heapq.heappop(self._heap)[1]
                self._busy += 1
            try:
                self._deliver(id)
            finally:
                with self._wake:
                    self._busy -= 1

    def _deliver(self, id: int) -> None:
        with self.engine.lock:
            row = self.engine.store.db.execute("select * from deliveries where id = ?", (id,)).fetchone()
            event = self.engine.store.get("event", row["event"]) if row else None
            url = self.engine.webhook_url
        if row is None or event is None or url is None:
            return
        status, error = self._post(url, event)
        if self._stopped:
            return
        attempts = row["attempts"] + 1
        done = status in _DONE
        gave_up = not done and attempts >= self.engine.config.delivery_attempts
        delays = self.engine.config.retry_delays
        due = time.time() + delays[min(attempts - 1, len(delays) - 1)]
        with self.engine.lock:
            self.engine.store.db.execute(
                "update deliveries set state = ?, attempts = ?, due = ?, last_status = ?, last_error = ? "
                "where id = ?",
                (
                    "delivered" if done else "failed" if gave_up else "pending",
                    attempts,
                    due,
                    status,
                    error,
                    id,
                ),
            )
            if done and event["pending_webhooks"]:
                self.engine.store.put({**event, "pending_webhooks": 0})
        if not done and not gave_up:
            self.push([(due, id)])

    def _post(self, url: str, event: Obj) -> tuple[int | None, str | None]:
        body = json.dumps(event, indent=2).encode()
        target = urlsplit(url)
        factory = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        connection = factory(target.hostname or "", target.port, timeout=self.engine.config.delivery_timeout)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(self.engine.webhook_secret, body, int(time.time())),
        }
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as failure:
            return None, repr(failure)
        else:
            return response.status, None
        finally:
            connection.close()
