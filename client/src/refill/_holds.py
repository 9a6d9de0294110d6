"""Holds and runs of the blocking client."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any

from refill._core import Handle
from refill._values import Credits, Fields, HoldState, Item, Spend, Usage, new_id
from refill.errors import RefillError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from refill.client import Refill

log = logging.getLogger("refill")
BEATS = 3
"""Extensions in the life of a hold: two may fail."""


class HoldView:
    """What is known of a hold."""

    _settles = True

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @property
    def id(self) -> str:
        """Its id; spends of a run name it as hold_id."""
        return self._handle.id

    @property
    def state(self) -> HoldState | None:
        """As the service last told; None while it was let through without the service."""
        return self._handle.state

    @property
    def late(self) -> bool:
        """It was closed when it was settled: the cost was recorded as usage `{id}:late`."""
        return self._handle.late

    @property
    def pending(self) -> bool:
        """A settlement waits in the spool for the service."""
        return self._handle.pending

    @property
    def closed(self) -> bool:
        """Settled or released by this client."""
        return self._handle.closed

    @property
    def left(self) -> Decimal | None:
        """What may still be spent or reserved from it, as the service last told."""
        return None if self.state is None else self.state.remaining

    def cost(self, usage: Usage) -> None:
        """Report what the work has cost; it is charged when the block ends."""
        self._handle.reported += [dict(usage)] if isinstance(usage, Mapping) else [dict(one) for one in usage]

    def _own(self, fields: Fields) -> Fields:
        account: Fields = {"account_id": self._handle.body.get("account_id")}
        return {**account, **fields}


class Hold(HoldView):
    """Credits that are reserved while work runs: `with client.hold("research") as hold:`.

    Leaving the block settles it, by what cost() reported, else by what it was placed for (after draws, the rest is
    returned); an exception releases it. It is extended in the background while the block runs.
    """

    def __init__(self, client: Refill, body: dict[str, Any], *, heartbeat: bool = True) -> None:
        super().__init__(Handle(body))
        self._client = client
        self._heartbeat = heartbeat
        self._beat: int | None = None

    def place(self) -> Self:
        """Reserve. Raises Insufficient, Refused, Unavailable. `with` does it."""
        core, body = self._client._core, self._handle.body
        self._client._run(core.place(self._handle))
        if self._heartbeat and not self._handle.offline:
            self._beat = self._client._heart.add(self.heartbeat, body["expires_in"] / BEATS)
        return self

    def settle(self, amount: Credits | None = None, *, usage: Usage | None = None) -> HoldState | None:
        """Charge an amount (scope price), usage, or all that is left, and close it; also more than was held."""
        self._stop_beating()
        return self._client._run(self._client._core.settle(self._handle, amount, usage))

    def draw(
        self, amount: Credits | None = None, *, usage: Usage | None = None, id: str | None = None
    ) -> HoldState | None:
        """Charge a part and go on."""
        draw_id = id or new_id("draw")
        return self._client._run(self._client._core.settle(self._handle, amount, usage, draw_id))

    def heartbeat(self) -> HoldState | None:
        """Extend it by its whole time. Done in the background; call it yourself with heartbeat=False."""
        body = self._handle.body
        return self._client._run(self._client._core.extend(self._handle, body["expires_in"]))

    def release(self) -> HoldState | None:
        """Give back what is left. Raises Unavailable; then it comes back when the hold expires."""
        self._stop_beating()
        return self._client._run(self._client._core.release(self._handle))

    def _stop_beating(self) -> None:
        if self._beat is not None:
            self._client._heart.remove(self._beat)
            self._beat = None

    def __enter__(self) -> Self:
        return self.place()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_beating()
        if self.closed:
            return
        if error is None and self._settles:
            self._client._run(self._client._core.finish(self._handle))
            return
        try:
            self.release()
        except RefillError as failed:
            log.warning(
                "refill: hold %s was not released and comes back when it expires: %s", self.id, failed
            )


class Run(Hold):
    """A budget: `with client.budget("20") as run: run.use("message")`. Leaving the block returns the rest."""

    _settles = False

    def use(
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
        return self._client.use(
            action, amount=amount, quantity=quantity, dimensions=dimensions, id=id, hold_id=self.id,
            **self._own(fields),
        )  # fmt: skip

    def budget(self, credits: Credits, *, expires_in: int = 900, **fields: Unpack[Fields]) -> Run:
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
    ) -> Hold:
        """A hold from this budget."""
        return self._client.hold(
            action, amount=amount, quantity=quantity, dimensions=dimensions, expires_in=expires_in,
            parent_id=self.id, **self._own(fields),
        )  # fmt: skip
