"""The client for asyncio. Usage goes out from a thread of its own here too, as usage() must not wait."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, TypeVar

from refill._aio_holds import AsyncHold, AsyncRun
from refill._aio_lease import AsyncLease
from refill._core import place_body
from refill._flow import Flow, Policy
from refill._recorder import Recording
from refill._setup import CLOSE_SECONDS, SPOOL_BYTES, SPOOL_EVENTS, Fail, Setup
from refill._transport import AsyncTransport
from refill._values import Credits, Fields, Item, Quote, Spend, new_id, now_text

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")


class AsyncRefill:
    """As `Refill`, for one event loop. `recording` may not block."""

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
        if recording is not None and recording.block:
            raise ValueError("usage() of an event loop must not block")
        setup = Setup(
            base_url, api_key, account_id, policy or Policy(), fail, spool, recording or Recording(),
            spool_events, spool_bytes,
        )  # fmt: skip
        self._core, self._recorder = setup.core, setup.recorder
        self._usage_transport = setup.usage_transport
        self._transport = AsyncTransport(setup.base_url, setup.api_key)

    async def use(
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
        """Spend now. Raises Insufficient, Conflict, Refused, Unavailable; repeats carry the same id."""
        event = self._core.event(action, amount, quantity, dimensions, fields, id or new_id("use"))
        return await self._run(self._core.use(event, hold_id))

    async def quote(
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
        return await self._run(self._core.quote(event, hold_id))

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
    ) -> AsyncHold:
        """Reserve an action's price or an amount, for an `async with` block."""
        event = self._core.event(action, amount, quantity, dimensions, fields, id)
        return AsyncHold(self, place_body(event, parent_id, expires_in), heartbeat=heartbeat)

    def budget(
        self,
        credits: Credits,
        *,
        id: str | None = None,
        parent_id: str | None = None,
        expires_in: int = 900,
        heartbeat: bool = True,
        **fields: Unpack[Fields],
    ) -> AsyncRun:
        """A run with a budget, for an `async with` block; what it has not spent is returned."""
        event = self._core.event(None, credits, 1, None, fields, id)
        return AsyncRun(self, place_body(event, parent_id, expires_in), heartbeat=heartbeat)

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
        """Record what already happened; not a coroutine, since it does not wait. Raises SpoolFull."""
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
    ) -> AsyncLease:
        """Credits to spend in memory, for an `async with` block."""
        return AsyncLease(self, credits, refill_at, expires_in, settle_every, fields)

    async def flush(self, timeout: float = 30.0) -> None:
        """Wait until the service has all usage. Raises Unavailable when it has not by then."""
        await asyncio.to_thread(self._recorder.flush, timeout)

    def waiting(self) -> int:
        """Events and settlements that the service does not have yet."""
        return self._recorder.waiting()

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Send what there is, spool the rest, close the connections."""
        await asyncio.to_thread(self._recorder.close, timeout)
        await self._transport.close()
        self._usage_transport.close()

    async def _run(self, flow: Flow[T]) -> T:
        return await self._transport.run(flow)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
