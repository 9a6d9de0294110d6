"""Leases: credits held at the service and spent in memory."""

from __future__ import annotations

import logging
import threading
from decimal import Decimal
from typing import TYPE_CHECKING

from refill._book import Book, Key
from refill._fork import register
from refill._values import Credits, Fields, Item, to_text
from refill.errors import RefillError

if TYPE_CHECKING:
    from typing_extensions import Self

    from refill.client import Refill

log = logging.getLogger("refill")


class Lease:
    """Tens of thousands of spends a second from one hold: `with client.lease("1000") as lease: lease.spend("message")`.

    Threads may share it. Spends are charged at refills, every settle_every seconds, and at the end. If the process dies,
    what it spent since the last settlement is not charged, and the rest of the hold comes back when it expires.
    """

    def __init__(
        self,
        client: Refill,
        credits: Credits,
        refill_at: float,
        expires_in: int,
        settle_every: float,
        fields: Fields,
    ) -> None:
        self._client = client
        self._book = Book(client._core, credits, refill_at, expires_in, fields)
        self._every = min(settle_every, expires_in / 3)
        self._refilling = threading.Lock()
        self._beat: int | None = None
        register(self)

    def after_fork(self) -> None:
        """The credits stay with the parent; the child takes a hold of its own."""
        self._book.lock, self._refilling = threading.Lock(), threading.Lock()
        self._book.begin()
        self._beat = None

    @property
    def left(self) -> Decimal:
        """Credits that may be spent without asking."""
        return Decimal(to_text(self._book.left))

    def spend(
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
            cost = self._client._run(book.ask_price(action, quantity, dimensions))
        due = book.take(key, cost, quantity, dimensions)
        if due is None:
            self._wait_for(key, cost, quantity, dimensions)
        elif due and not book.resting and self._refilling.acquire(blocking=False):
            threading.Thread(target=self._refill, name="refill-lease", daemon=True).start()

    def settle(self) -> None:
        """Charge what was spent until now, and fill up. Raises Unavailable, Refused."""
        with self._refilling:
            self._client._run(self._book.refill())

    def close(self) -> None:
        """Charge what was spent and return the rest."""
        if self._beat is not None:
            self._client._heart.remove(self._beat)
            self._beat = None
        with self._refilling:
            self._client._run(self._book.settle_all())

    def _wait_for(self, key: Key, cost: int, quantity: int, dimensions: Item | None) -> None:
        book = self._book
        with self._refilling:
            # Somebody else may have refilled it meanwhile.
            due = book.take(key, cost, quantity, dimensions)
            if due is None and not book.resting:
                self._client._run(book.refill(cost))
                self._start_beating()
                due = book.take(key, cost, quantity, dimensions)
            if due is None:
                raise book.shortage(cost)

    def _refill(self) -> None:
        """In a thread of its own, so that no spend waits while something is left. It has the lock already."""
        try:
            self._client._run(self._book.refill())
        except RefillError as error:
            log.warning("refill: a lease was not refilled: %s", error)
        finally:
            self._refilling.release()

    def _start_beating(self) -> None:
        if self._beat is None:
            self._beat = self._client._heart.add(self.settle, self._every)

    def __enter__(self) -> Self:
        self.settle()
        self._start_beating()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
