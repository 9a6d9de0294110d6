"""Leases for asyncio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from decimal import Decimal
from typing import TYPE_CHECKING

from refill._book import Book, Key
from refill._values import Credits, Fields, Item, to_text
from refill.errors import RefillError

if TYPE_CHECKING:
    from typing_extensions import Self

    from refill.aio import AsyncRefill

log = logging.getLogger("refill")


class AsyncLease:
    """As `Lease`, for one event loop: `await lease.spend("message")` waits only when nothing is left."""

    def __init__(
        self,
        client: AsyncRefill,
        credits: Credits,
        refill_at: float,
        expires_in: int,
        settle_every: float,
        fields: Fields,
    ) -> None:
        self._client = client
        self._book = Book(client._core, credits, refill_at, expires_in, fields)
        self._every = min(settle_every, expires_in / 3)
        self._refilling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def left(self) -> Decimal:
        """Credits that may be spent without asking."""
        return Decimal(to_text(self._book.left))

    async def spend(
        self,
        action: str | None = None,
        quantity: int = 1,
        *,
        amount: Credits | None = None,
        dimensions: Item | None = None,
        agent: str | None = None,
        department_id: str | None = None,
        member_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Spend in memory. Raises Insufficient when nothing is left and none can be reserved, Unavailable, Refused."""
        book = self._book
        cost, key = book.known(action, quantity, amount, dimensions, agent, department_id, member_id, run_id)
        if cost is None:
            cost = await self._client._run(book.ask_price(action, quantity, dimensions))
        due = book.take(key, cost, quantity, dimensions)
        if due is None:
            await self._wait_for(key, cost, quantity, dimensions)
        elif due and not book.resting and not self._refilling.locked():
            self._start(self._refill())

    async def settle(self) -> None:
        """Charge what was spent until now, and fill up. Raises Unavailable, Refused."""
        async with self._refilling:
            await self._client._run(self._book.refill())

    async def close(self) -> None:
        """Charge what was spent and return the rest."""
        async with self._refilling:
            for task in list(self._tasks):
                task.cancel()
            await self._client._run(self._book.settle_all())

    async def _wait_for(self, key: Key, cost: int, quantity: int, dimensions: Item | None) -> None:
        book = self._book
        async with self._refilling:
            due = book.take(key, cost, quantity, dimensions)
            if due is None and not book.resting:
                await self._client._run(book.refill(cost))
                due = book.take(key, cost, quantity, dimensions)
            if due is None:
                raise book.shortage(cost)

    async def _refill(self) -> None:
        try:
            await self.settle()
        except RefillError as error:
            log.warning("refill: a lease was not refilled: %s", error)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._refill()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aenter__(self) -> Self:
        await self.settle()
        self._start(self._beat())
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
