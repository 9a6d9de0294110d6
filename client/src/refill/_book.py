"""The books of a lease, without I/O: what is left, what was spent, and how it is settled and refilled."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from refill._core import Core, Handle, place_body
from refill._flow import Flow, call
from refill._values import Credits, Fields, HoldState, Item, compact, new_id, to_micro, to_text
from refill.errors import Insufficient, Refused, Unavailable

PRICES_SECONDS = 60.0
PRICES_MAX = 1_000
REST_SECONDS = 0.5
"""Before the service is asked again after it refused or was away."""
HOLD_SECONDS = 20 * 3600.0
"""A hold lives a day at most; before that the lease goes on with another one."""
ITEMS_MAX = 200
"""Of one settlement."""
SUBJECTS = ("agent", "department_id", "member_id", "run_id")
Key = tuple[Any, ...]


@dataclass
class Sums:
    """What was spent under one key since the last settlement."""

    quantity: int = 0
    micro: int = 0
    dimensions: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draw:
    """A settlement that is under way; repeated as it is until it is answered."""

    body: dict[str, Any]
    late: list[dict[str, Any]]


class Book:
    """Micro-credits in memory. Guarded by a lock, never held across I/O."""

    def __init__(
        self, core: Core, credits: Credits, refill_at: float, expires_in: int, fields: Fields
    ) -> None:
        self.core, self.size, self.refill_at, self.expires_in = core, to_micro(credits), refill_at, expires_in
        self.fields = fields
        self.lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """With nothing: no hold, no prices."""
        self.left = self.low = self._unsettled = 0
        self._used: dict[Key, Sums] = {}
        self._handle: Handle | None = None
        self._draw: Draw | None = None
        self._placed_at = self.rest_until = float("-inf")
        self._why: Insufficient | Unavailable | None = None
        self._prices: dict[Any, int] = {}
        self._prices_until = 0.0

    # In memory

    def take(self, key: Key, cost: int, quantity: int, dimensions: Mapping[str, Any] | None) -> bool | None:
        """Spend. None: not covered. True: time to refill."""
        with self.lock:
            if cost > self.left:
                return None
            self.left -= cost
            self._unsettled += cost
            used = self._used.get(key)
            if used is None:
                used = self._used[key] = Sums()
            used.quantity += quantity
            used.micro += cost
            if dimensions:
                for name, value in dimensions.items():
                    if _counts(value):
                        used.dimensions[name] = used.dimensions.get(name, 0) + value
            return self.left < self.low or len(self._used) >= ITEMS_MAX

    def known(
        self,
        action: str | None,
        quantity: int,
        amount: Credits | None,
        dimensions: Item | None,
        *subjects: str | None,
    ) -> tuple[int | None, Key]:
        """What it costs (None: ask), and the key under which it adds up."""
        if amount is not None:
            return to_micro(amount), (action, False, (), *subjects)
        if action is None:
            raise ValueError("name an action, or an amount")
        if not dimensions:
            one = self._prices.get(action)
            return None if one is None else one * quantity, (action, True, (), *subjects)
        kinds = tuple((name, value) for name, value in dimensions.items() if not _counts(value))
        cost = self._prices.get((action, quantity, tuple(dimensions.items())))
        return cost, (action, True, kinds, *subjects)

    def ask_price(self, action: str | None, quantity: int, dimensions: Mapping[str, Any] | None) -> Flow[int]:
        """Ask the service; asked again with refills, see _refresh_prices."""
        many = quantity if dimensions else 1
        quote = yield from self.core.quote(self.core.event(action, None, many, dimensions, self.fields))
        if len(self._prices) >= PRICES_MAX:
            self._prices.clear()
        micro = to_micro(quote.credits)
        self._prices[(action, quantity, tuple(dimensions.items())) if dimensions else action] = micro
        return micro if dimensions else micro * quantity

    def shortage(self, cost: int) -> Insufficient | Unavailable:
        """Why a spend is not covered."""
        why = self._why
        if why is None or isinstance(why, Unavailable):
            return Unavailable(
                f"the lease has {to_text(self.left)} credits left and cannot be refilled now: {why}"
            )
        facts = {**why.facts, "needed": to_text(cost), "available": to_text(self.left)}
        return Insufficient(why.code, why.status, why.detail, facts)

    @property
    def resting(self) -> bool:
        """The service has refused or was away just now."""
        return self.core.policy.clock() < self.rest_until

    # With the service

    def refill(self, needed: int = 0) -> Flow[None]:
        """Settle what was spent and reserve as much again, in one call. Raises Unavailable, Refused."""
        try:
            yield from self._refill(needed)
            if self.core.policy.clock() > self._prices_until:
                yield from self._refresh_prices()
        except Unavailable as away:
            self.rest(away)
            raise

    def _refill(self, needed: int) -> Flow[None]:
        if self._handle is None:
            yield from self._place(needed)
            return
        if self.core.policy.clock() - self._placed_at > HOLD_SECONDS:
            yield from self.settle_all()
            yield from self._place(needed)
            return
        draw = self._draw or self._freeze(max(self.size, needed))
        data = yield from self._deliver(self._handle, draw)
        if data is None or data["state"] != "open":
            # It expired, or somebody closed it: what was spent is charged, the rest went back.
            self._handle, self.left = None, 0
            yield from self._place(needed)
            return
        available = self._apply(data)
        if available > 0:
            # The account has less than was asked for; what there is will do.
            draw = self._freeze(0, reserve=available)
            data = yield from self._deliver(self._handle, draw)
            if data is not None:
                self._apply(data)

    def _refresh_prices(self) -> Flow[None]:
        """Those of plain actions; those of dimensions are asked anew. Old ones do while the service is away."""
        self._prices_until = self.core.policy.clock() + PRICES_SECONDS
        for known in list(self._prices):
            if isinstance(known, str):
                yield from self.ask_price(known, 1, None)
            else:
                self._prices.pop(known, None)

    def settle_all(self) -> Flow[None]:
        """Charge what was spent and return the rest; what does not get through waits in the spool."""
        handle = self._handle
        if handle is None:
            return
        if self._draw is not None:
            yield from self.core.send_settlement(handle, self._draw.body, self._draw.late)
        with self.lock:
            items, self._unsettled, self.left = self._items(), 0, 0
            self._handle = self._draw = None
        if items:
            yield from self.core.settle(handle, usage=items)
            return
        try:
            yield from self.core.release(handle)
        except (Unavailable, Refused):
            return  # It comes back when the hold expires.

    def _place(self, needed: int) -> Flow[None]:
        wanted = max(self.size, needed)
        while True:
            event = self.core.event(None, to_text(wanted), 1, None, self.fields)
            handle = Handle(place_body(event, None, self.expires_in))
            try:
                data = yield from call(self.core.policy, "POST", "/api/credits/holds", handle.body)
            except Insufficient as refused:
                self.rest(refused)
                wanted = min(wanted - 1, to_micro(refused.available or 0))
                if wanted <= 0 or refused.code == "account_paused":
                    return
                continue
            handle.state = HoldState.of(data)
            self._handle, self._placed_at = handle, self.core.policy.clock()
            self._set(to_micro(handle.state.remaining))
            return

    def _freeze(self, size: int, reserve: int = 0) -> Draw:
        assert self._handle is not None  # noqa: S101 - the callers have looked
        with self.lock:
            reserve = reserve or max(0, size - self.left)
            items = self._items()
            self._unsettled = 0
        body = {"account_id": self._handle.body.get("account_id"), "final": False, "id": new_id("draw")}
        body |= {"usage": items or None, "expires_in": self.expires_in}
        body["reserve"] = to_text(reserve) if reserve else None
        body = compact(body)
        self._draw = Draw(body, self.core.late(self._handle, body))
        return self._draw

    def _deliver(self, handle: Handle, draw: Draw) -> Flow[Any]:
        """The answer, or None when the hold is closed; then what was spent is recorded as usage."""
        try:
            data = yield from call(self.core.policy, "POST", handle.path("settle"), draw.body)
        except Refused as refused:
            if refused.code != "state_conflict":
                raise
            self.core.record_late(draw.late)
            data = None
        self._draw = None
        return data

    def _apply(self, data: Mapping[str, Any]) -> int:
        """Take over what the hold has; answers what may be asked for instead of what was refused."""
        self._set(to_micro(max(Decimal(0), HoldState.of(data).remaining)))
        refusal = data.get("refusal")
        if not refusal:
            return 0
        refused = Insufficient(refusal["code"], 402, refusal.get("detail", ""), refusal)
        self.rest(refused)
        return to_micro(refused.available or 0) if refused.code != "account_paused" else 0

    def rest(self, why: Insufficient | Unavailable) -> None:
        """Do not ask again at once."""
        self._why, self.rest_until = why, self.core.policy.clock() + REST_SECONDS

    def _set(self, remaining: int) -> None:
        with self.lock:
            self.left = max(0, remaining - self._unsettled)
            self.low = int(self.left * self.refill_at)

    def _items(self) -> list[dict[str, Any]]:
        """What was spent since, as usage; emptied. The caller holds the lock."""
        used, self._used = self._used, {}
        return [_item(key, sums) for key, sums in used.items()]


def _counts(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _item(key: Key, sums: Sums) -> dict[str, Any]:
    """Dimensions add up, as the price is linear in them."""
    action, priced, kinds, *subjects = key
    dimensions = dict(kinds) | sums.dimensions
    price = {} if priced else {"amount": to_text(sums.micro)}
    found = {"action": action, "quantity": sums.quantity, "dimensions": dimensions or None} | price
    return compact(found | dict(zip(SUBJECTS, subjects)))  # noqa: B905 - one each, by known()
