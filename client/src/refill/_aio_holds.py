"""Holds and runs of the client for asyncio."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any

from refill._core import Handle
from refill._heart import RETRY_SHARE
from refill._holds import BEATS, HoldView
from refill._values import Credits, Fields, HoldState, Item, Spend, Usage, new_id
from refill.errors import RefillError, Unavailable

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from refill.aio import AsyncRefill

log = logging.getLogger("refill")


class AsyncHold(HoldView):
    """As `Hold`: `async with client.hold("research") as hold:`. A task extends it while the block runs."""

    def __init__(self, client: AsyncRefill, body: dict[str, Any], *, heartbeat: bool = True) -> None:
        super().__init__(Handle(body))
        self._client = client
        self._heartbeat = heartbeat
        self._beat: asyncio.Task[None] | None = None

    async def place(self) -> Self:
        """Reserve. Raises Insufficient, Refused, Unavailable. `async with` does it."""
        await self._client._run(self._client._core.place(self._handle))
        if self._heartbeat and not self._handle.offline:
            self._beat = asyncio.create_task(self._beat_on())
        return self

    async def settle(self, amount: Credits | None = None, *, usage: Usage | None = None) -> HoldState | None:
        """Charge an amount (scope price), usage, or all that is left, and close it; also more than was held."""
        self._stop_beating()
        return await self._client._run(self._client._core.settle(self._handle, amount, usage))

    async def draw(
        self, amount: Credits | None = None, *, usage: Usage | None = None, id: str | None = None
    ) -> HoldState | None:
        """Charge a part and go on."""
        draw_id = id or new_id("draw")
        return await self._client._run(self._client._core.settle(self._handle, amount, usage, draw_id))

    async def heartbeat(self) -> HoldState | None:
        """Extend it by its whole time. Done in the background; call it yourself with heartbeat=False."""
        seconds = self._handle.body["expires_in"]
        return await self._client._run(self._client._core.extend(self._handle, seconds))

    async def release(self) -> HoldState | None:
        """Give back what is left. Raises Unavailable; then it comes back when the hold expires."""
        self._stop_beating()
        return await self._client._run(self._client._core.release(self._handle))

    async def _beat_on(self) -> None:
        seconds = self._handle.body["expires_in"] / BEATS
        wait = seconds
        while True:
            await asyncio.sleep(wait)
            try:
                await self.heartbeat()
                wait = seconds
            except Unavailable:
                wait = seconds * RETRY_SHARE
            except RefillError as refused:
                log.warning("refill: no heartbeat any more: %s", refused)
                return

    def _stop_beating(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    async def __aenter__(self) -> Self:
        return await self.place()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_beating()
        if self.closed:
            return
        if error is None and self._settles:
            await self._client._run(self._client._core.finish(self._handle))
            return
        try:
            await self.release()
        except RefillError as failed:
            log.warning(
                "refill: hold %s was not released and comes back when it expires: %s", self.id, failed
            )


class AsyncRun(AsyncHold):
    """As `Run`: `async with client.budget("20") as run: await run.use("message")`."""

    _settles = False

    async def use(
        self,
        action: str | None = None,
        *,
        amount: Credits | None = None,
        quantity: int = 1,
        dimensions: Item | None = None,
        id: str | None = None,
        **fields: Unpack[Fields],
    ) -> Spend:
        """Spend from the budget. Raises Insufficient with binding run when it does not cover it."""
        return await self._client.use(
            action, amount=amount, quantity=quantity, dimensions=dimensions, id=id, hold_id=self.id,
            **self._own(fields),
        )  # fmt: skip

    def budget(self, credits: Credits, *, expires_in: int = 900, **fields: Unpack[Fields]) -> AsyncRun:
        """A child run: its budget is reserved from this one, never from the account."""
        return self._client.budget(credits, expires_in=expires_in, parent_id=self.id, **self._own(fields))

    def hold(
        self,
        action: str | None = None,
        *,
        amount: Credits | None = None,
        quantity: int = 1,
        dimensions: Item | None = None,
        expires_in: int = 900,
        **fields: Unpack[Fields],
    ) -> AsyncHold:
        """A hold from this budget."""
        return self._client.hold(
            action, amount=amount, quantity=quantity, dimensions=dimensions, expires_in=expires_in,
            parent_id=self.id, **self._own(fields),
        )  # fmt: skip
