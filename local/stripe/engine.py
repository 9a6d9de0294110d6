"""The local Stripe account: state, clock, ids, events. One lock guards it; nobody waits while holding it."""

from __future__ import annotations

import random
import string
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local.stripe import shapes
from local.stripe.errors import StripeError, missing_object
from local.stripe.spec import installed
from local.stripe.store import Obj, Store, public

Delivery = tuple[float, int]

_ALPHABET = string.ascii_letters + string.digits
_LENGTHS = {"cus": 14, "req": 14, "cs_test": 58, "prod": 14, "sub": 24, "cs": 24}


class ShapeError(Exception):
    """The server was about to answer or deliver something that real Stripe would not."""


@dataclass(frozen=True)
class Config:
    """How a server runs. `retry_delays` are the seconds before each redelivery; the last one repeats.

    `portal`: whether the Billing Portal's settings were saved; without, portal sessions are refused.
    """

    public_url: str = "http://127.0.0.1:12111"
    webhook_url: str | None = None
    webhook_secret: str = "whsec_local"  # noqa: S105 - of a server that holds no money
    state: str = ":memory:"
    retry_delays: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
    delivery_attempts: int = 100
    delivery_timeout: float = 10.0
    lock_wait: float = 2.0
    merchant: str = "Local test merchant"
    portal: bool = True


@dataclass
class Call:
    """One request while it executes: what was asked, and on whose behalf events are emitted."""

    engine: Engine
    request_id: str | None
    idempotency_key: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    publishable: bool = False
    at: int | None = None
    """The time of the customer's test clock, when there is one; else the account's clock counts."""

    def emit(self, type: str, obj: Obj, previous: dict[str, Any] | None = None) -> Obj:
        """Record an event with a snapshot of the object; it is delivered after the commit."""
        return self.engine.emit(type, obj, previous, self.request_id, self.idempotency_key, self.at)

    def get(self, kind: str, id: str, param: str = "id", status: int = 404) -> Obj:
        return self.engine.need(kind, id, param, status)

    def put(self, obj: Obj) -> Obj:
        return self.engine.store.put(obj)

    def now(self) -> int:
        return self.engine.now() if self.at is None else self.at

    def id(self, prefix: str) -> str:
        return self.engine.id(prefix)


class Engine:
    """Everything that handlers, the hosted pages, the control API and the deliverer share."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.webhook_url = config.webhook_url
        self.webhook_secret = config.webhook_secret
        self.spec = installed()
        self.store = Store(config.state)
        self.lock = threading.RLock()
        self.violations: list[str] = []
        self.plan: Callable[[list[Obj]], list[Delivery]] = lambda _: []
        self.dispatch: Callable[[list[Delivery]], None] = lambda _: None
        self._random = random.SystemRandom()
        self._pending: list[Obj] = []
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Deliveries are planned inside, and leave after the commit."""
        with self.lock:
            if self._depth:
                yield
                return
            self.store.begin()
            self._depth = 1
            planned: list[Delivery] = []
            try:
                yield
                planned = self.plan(self._pending)
            except BaseException:
                self.store.rollback()
                raise
            else:
                self.store.commit()
            finally:
                self._depth = 0
                self._pending = []
        self.dispatch(planned)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo everything when it fails, except for the 402 of a card: Stripe keeps the failed payment."""
        mark = len(self._pending)
        self.store.db.execute("savepoint attempt")
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, StripeError) and error.declined):
                self.store.db.execute("rollback to attempt")
                del self._pending[mark:]
            raise
        finally:
            self.store.db.execute("release attempt")

    @contextmanager
    def tentative(self) -> Iterator[list[bool]]:
        """Undo everything in the end if something was put into the list that this yields."""
        mark = len(self._pending)
        undo: list[bool] = []
        self.store.db.execute("savepoint tentative")
        try:
            yield undo
        except BaseException:
            undo.append(True)
            raise
        finally:
            if undo:
                self.store.db.execute("rollback to tentative")
                del self._pending[mark:]
            self.store.db.execute("release tentative")

    def call(self) -> Call:
        """A call of the account's own: no request caused its events."""
        return Call(self, None)

    def now(self) -> int:
        return int(time.time() + self.clock_offset)

    @property
    def clock_offset(self) -> float:
        return float(self.store.setting("clock_offset", 0))

    def id(self, prefix: str) -> str:
        return f"{prefix}_{self.token(_LENGTHS.get(prefix, 24))}"

    def token(self, length: int) -> str:
        return "".join(self._random.choices(_ALPHABET, k=length))

    def need(self, kind: str, id: str, param: str = "id", status: int = 404) -> Obj:
        """An object that must exist; else Stripe's resource_missing."""
        found = self.store.get(kind, id)
        if found is None:
            raise self.missing(kind, id, param, status)
        return found

    def missing(self, kind: str, id: str, param: str, status: int) -> StripeError:
        """`resource_missing`; for what exists in the other mode, with the sentence that says so."""
        return missing_object(kind, id, param, status, bool(self.store.setting(f"other_mode:{id}")))

    def check(self, value: Any) -> None:
        """Refuse and record any answer or event whose shape is not Stripe's."""
        found = shapes.problems(self.spec, value)
        if found:
            self.violations.extend(found)
            raise ShapeError("; ".join(found[:5]))

    def emit(
        self,
        type: str,
        obj: Obj,
        previous: dict[str, Any] | None,
        request_id: str | None,
        key: str | None,
        at: int | None = None,
    ) -> Obj:
        data: dict[str, Any] = {"object": public(obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.record(type, data, request_id, key, at)
        self.check(event)
        return event

    def record(
        self,
        type: str,
        data: dict[str, Any],
        request_id: str | None,
        key: str | None,
        at: int | None = None,
    ) -> Obj:
        """Store an event as it is and plan its delivery; only the control API goes around the check."""
        event: Obj = {
            "id": self.id("evt"),
            "object": "event",
            "api_version": self.spec.api_version,
            "created": self.now() if at is None else at,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1 if self.webhook_url else 0,
            "request": {"id": request_id, "idempotency_key": key},
            "type": type,
        }
        self.store.put(event)
        self._pending.append(event)
        return event
