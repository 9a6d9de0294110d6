"""The blocking client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from refill._core import place_body
from refill._flow import Flow, Policy
from refill._heart import Heart
from refill._holds import Hold, Run
from refill._recorder import Recording
from refill._setup import CLOSE_SECONDS, SPOOL_BYTES, SPOOL_EVENTS, Fail, Setup
from refill._transport import Transport
from refill._values import Credits, Fields, Item, Quote, Spend, new_id, now_text
from refill.lease import Lease

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")


class Refill:
    """One service, one key. Share it between threads; make one a process and close() it at the end.

    base_url and api_key default to REFILL_URL and REFILL_API_KEY. account_id is for keys that are bound to no account.
    fail: "closed", or Open(limit=…) to let spends through while the service is away. spool: a directory for what waits.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        account_id: str | None = None,
        *,
        policy: Policy | None = None,
        fail: Fail = "closed",
        spool: str | os.PathLike[str] | None = None,
        recording: Recording | None = None,
        spool_events: int = SPOOL_EVENTS,
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        setup = Setup(
            base_url, api_key, account_id, policy or Policy(), fail, spool, recording or Recording(),
            spool_events, spool_bytes,
        )  # fmt: skip
        self._core, self._recorder = setup.core, setup.recorder
        self._usage_transport = setup.usage_transport
        self._transport = Transport(setup.base_url, setup.api_key)
        self._heart = Heart()

    def use(
        self,
        action: str | None = None,
        *,
        amount: Credits | None = None,
        quantity: int = 1,
        dimensions: Item | None = None,
        id: str | None = None,
        hold_id: str | None = None,
        **fields: Unpack[Fields],
    ) -> Spend:
        """Spend now. Raises Insufficient, Conflict, Refused, Unavailable; repeats carry the same id.

        amount instead of an action's price needs the scope price.
        """
        event = self._core.event(action, amount, quantity, dimensions, fields, id or new_id("use"))
        return self._run(self._core.use(event, hold_id))

    def quote(
        self,
        action: str | None = None,
        *,
        amount: Credits | None = None,
        quantity: int = 1,
        dimensions: Item | None = None,
        hold_id: str | None = None,
        **fields: Unpack[Fields],
    ) -> Quote:
        """What it would cost now and whether it would be let through. Raises Refused, Unavailable."""
        event = self._core.event(action, amount, quantity, dimensions, fields)
        return self._run(self._core.quote(event, hold_id))

    def hold(
        self,
        action: str | None = None,
        *,
        amount: Credits | None = None,
        quantity: int = 1,
        dimensions: Item | None = None,
        id: str | None = None,
        parent_id: str | None = None,
        expires_in: int = 900,
        heartbeat: bool = True,
        **fields: Unpack[Fields],
    ) -> Hold:
        """Reserve an action's price or an amount, for a `with` block. expires_in: seconds, at most 86,400."""
        event = self._core.event(action, amount, quantity, dimensions, fields, id)
        return Hold(self, place_body(event, parent_id, expires_in), heartbeat=heartbeat)

    def budget(
        self,
        credits: Credits,
        *,
        id: str | None = None,
        parent_id: str | None = None,
        expires_in: int = 900,
        heartbeat: bool = True,
        **fields: Unpack[Fields],
    ) -> Run:
        """A run with a budget, for a `with` block; what it has not spent is returned."""
        event = self._core.event(None, credits, 1, None, fields, id)
        return Run(self, place_body(event, parent_id, expires_in), heartbeat=heartbeat)

    def usage(
        self,
        action: str | None = None,
        *,
        amount: Credits | None = None,
        quantity: int = 1,
        dimensions: Item | None = None,
        id: str | None = None,
        occurred_at: str | None = None,
        **fields: Unpack[Fields],
    ) -> str:
        """Record what already happened, without waiting for the service; answers the event's id. Raises SpoolFull."""
        event = self._core.event(action, amount, quantity, dimensions, fields, id or new_id("evt"))
        event["occurred_at"] = occurred_at or now_text()
        self._recorder.put(event)
        return str(event["id"])

    def lease(
        self,
        credits: Credits,
        *,
        refill_at: float = 0.2,
        expires_in: int = 900,
        settle_every: float = 60.0,
        **fields: Unpack[Fields],
    ) -> Lease:
        """Credits to spend in memory, for a `with` block; refilled when less than refill_at of them is left."""
        return Lease(self, credits, refill_at, expires_in, settle_every, fields)

    def flush(self, timeout: float = 30.0) -> None:
        """Wait until the service has all usage. Raises Unavailable when it has not by then."""
        self._recorder.flush(timeout)

    def waiting(self) -> int:
        """Events and settlements that the service does not have yet."""
        return self._recorder.waiting()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Send what there is, spool the rest, close the connections. Also done when the interpreter ends."""
        self._recorder.close(timeout)
        self._transport.close()
        self._usage_transport.close()

    def _run(self, flow: Flow[T]) -> T:
        return self._transport.run(flow)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
