"""What both clients do, without I/O: bodies, flows, and what happens when the service is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from refill._flow import Flow, Policy, call, dump
from refill._prices import Prices
from refill._recorder import Recorder
from refill._spool import SETTLEMENT, SPENT, USAGE, Entry
from refill._values import (
    MICRO,
    Credits,
    Fields,
    HoldState,
    Quote,
    Spend,
    Usage,
    compact,
    item,
    new_id,
    now_text,
    to_micro,
)
from refill.errors import Refused, SpoolFull, Unavailable

CARDS_SECONDS = 300.0


@dataclass(frozen=True)
class Open:
    """Fail open: while the service is away, let through up to `limit` credits, recorded and booked later.

    wait: seconds that a call waits for the service before; again: seconds until the next call asks it again.
    """

    limit: Credits
    wait: float = 2.0
    again: float = 5.0


@dataclass
class Handle:
    """A hold from the caller's side. body: as it is placed."""

    body: dict[str, Any]
    state: HoldState | None = None
    offline: bool = False
    """Let through while the service was away: there is no hold, its cost is recorded as usage."""
    closed: bool = False
    drawn: bool = False
    late: bool = False
    """The settlement came after the hold had been closed; it was recorded as usage."""
    pending: bool = False
    """The settlement waits in the spool."""
    reported: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.body["id"])

    def path(self, verb: str) -> str:
        """Ids may hold any character, also a slash."""
        return f"/api/credits/holds/{quote(self.id, safe='')}/{verb}"


class Core:
    """Flows of one client."""

    def __init__(self, account_id: str | None, policy: Policy, fail: Open | None, recorder: Recorder) -> None:
        self.account_id, self.policy, self.fail, self.recorder = account_id, policy, fail, recorder
        self.prices = Prices()
        self._cards_due = self._away_until = float("-inf")

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The account first, so that it is the client's unless the call names another."""
        return compact({"account_id": self.account_id} | compact(fields))

    def event(
        self,
        action: str | None,
        amount: Credits | None,
        quantity: int,
        dimensions: Mapping[str, Any] | None,
        fields: Fields,
        event_id: str | None = None,
    ) -> dict[str, Any]:
        """A spend, a hold or an event of usage, with an id that all its repeats carry."""
        if action is None and amount is None:
            raise ValueError("name an action, or an amount")
        return item(
            self.fields(fields)
            | {"id": event_id, "action": action, "amount": amount}
            | {"quantity": quantity, "dimensions": dimensions}
        )

    # Spending

    def use(self, event: dict[str, Any], hold_id: str | None) -> Flow[Spend]:
        """Spend now or raise; while the service is away, as the caller declared."""
        try:
            data = yield from self._call_or_away("/api/credits/use", event | compact({"hold_id": hold_id}))
        except Unavailable as away:
            return self._let_through(event, away, from_hold=hold_id is not None)
        self.prices.learn(event, data["credits"])
        return Spend(
            data["id"],
            Decimal(data["credits"]),
            Decimal(data["available"]),
            data["status"],
            data["transaction_id"],
        )

    def quote(self, event: dict[str, Any], hold_id: str | None = None) -> Flow[Quote]:
        """Ask what an event would cost; the service takes no id, run or metadata with it."""
        body = {name: value for name, value in event.items() if name not in ("id", "run_id", "metadata")}
        data = yield from call(
            self.policy, "POST", "/api/credits/quote", body | compact({"hold_id": hold_id})
        )
        credits, available = Decimal(data["credits"]), Decimal(data["available"])
        return Quote(credits, available, data["sufficient"], data["binding"], data["status"])

    def _call_or_away(self, path: str, body: dict[str, Any]) -> Flow[Any]:
        """A call that may be let through without an answer; asks an absent service only every few seconds."""
        fail, clock = self.fail, self.policy.clock
        if fail is None:
            return (yield from call(self.policy, "POST", path, body))
        if clock() < self._away_until:
            raise Unavailable("the service was away a moment ago")
        try:
            data = yield from call(self.policy, "POST", path, body, deadline=fail.wait)
        except Unavailable:
            self._away_until = clock() + fail.again
            raise
        if clock() >= self._cards_due:
            yield from self._load_cards(fail)
        return data

    def _load_cards(self, fail: Open) -> Flow[None]:
        self._cards_due = self.policy.clock() + CARDS_SECONDS
        try:
            cards = yield from call(self.policy, "GET", "/api/billing/actions", deadline=fail.wait)
        except (Refused, Unavailable):
            return  # What is not known is not let through.
        self.prices.load(cards["data"])

    def _lendable(self, event: Mapping[str, Any], away: Unavailable) -> tuple[int, int]:
        """What it costs and how much may be lent, in micro-credits; raises `away` when nothing may."""
        if self.fail is None:
            raise away
        cost = self.prices.cost(event)
        if cost is None:
            raise Unavailable(f"{away}; the price of {event['action']!r} is not known") from away
        return cost, to_micro(self.fail.limit)

    def _let_through(self, event: dict[str, Any], away: Unavailable, *, from_hold: bool) -> Spend:
        cost, limit = self._lendable(event, away)
        # A request that may have arrived has to have the same content, so that it is known as the same.
        kept = event if away.reached else event | {"occurred_at": now_text()}
        kind = SPENT if away.reached and from_hold else USAGE
        try:
            self.recorder.keep([Entry(kind, dump(kept).decode(), cost)], bounded=True, lending_limit=limit)
        except SpoolFull as full:
            raise Unavailable(f"{away}; {full}", reached=away.reached) from full
        return Spend(event["id"], Decimal(cost) / MICRO, None, None, None, recorded=True)

    # Holds

    def place(self, handle: Handle) -> Flow[None]:
        """Reserve; fail open lets priced holds through that have no parent."""
        try:
            data = yield from self._call_or_away("/api/credits/holds", handle.body)
        except Unavailable as away:
            if "parent_id" in handle.body:
                raise
            cost, limit = self._lendable(handle.body, away)
            if not self.recorder.room_to_lend(cost, limit):
                raise
            handle.offline = True
            return
        handle.state = HoldState.of(data)

    def settle(
        self,
        handle: Handle,
        amount: Credits | None = None,
        usage: Usage | None = None,
        draw_id: str | None = None,
    ) -> Flow[HoldState | None]:
        """Charge what it cost. What cannot be told to the service waits in the spool; nothing is lost."""
        body = self._settlement(handle, amount, usage, draw_id)
        late = self.late(handle, body)
        handle.drawn = handle.drawn or draw_id is not None
        handle.closed = handle.closed or draw_id is None
        if handle.offline:
            self.recorder.keep([_usage(event, self.prices.cost(event) or 0) for event in late])
        else:
            yield from self.send_settlement(handle, body, late)
        return handle.state

    def send_settlement(
        self, handle: Handle, body: Mapping[str, Any], late: Sequence[Mapping[str, Any]]
    ) -> Flow[None]:
        """A settlement as it was written before; `late` is the same as usage."""
        try:
            data = yield from call(self.policy, "POST", handle.path("settle"), body)
            handle.state = HoldState.of(data)
        except Unavailable:
            kept = {"path": handle.path("settle"), "body": body, "late": late}
            self.recorder.keep([Entry(SETTLEMENT, dump(kept).decode())])
            handle.pending = True
        except Refused as refused:
            if refused.code != "state_conflict":
                raise
            self.record_late(late)
            handle.late = True

    def record_late(self, late: Sequence[Mapping[str, Any]]) -> None:
        """The hold was closed before: the cost is usage."""
        self.recorder.keep([_usage(event) for event in late])

    def finish(self, handle: Handle) -> Flow[HoldState | None]:
        """The work is done: charge what was reported, else what it was placed for; after draws nothing more."""
        if handle.reported:
            return (yield from self.settle(handle, usage=handle.reported))
        if handle.drawn:
            return (yield from self.release(handle))
        return (yield from self.settle(handle))

    def extend(self, handle: Handle, expires_in: int) -> Flow[HoldState | None]:
        """Let it live that many seconds from now."""
        if not handle.offline:
            body = compact({"account_id": handle.body.get("account_id"), "expires_in": expires_in})
            handle.state = HoldState.of((yield from call(self.policy, "POST", handle.path("extend"), body)))
        return handle.state

    def release(self, handle: Handle) -> Flow[HoldState | None]:
        """Give back what is left. Raises Unavailable; then it comes back when the hold expires."""
        if not handle.offline:
            body = compact({"account_id": handle.body.get("account_id")})
            handle.state = HoldState.of((yield from call(self.policy, "POST", handle.path("release"), body)))
        handle.closed = True
        return handle.state

    def _settlement(
        self, handle: Handle, amount: Credits | None, usage: Usage | None, draw_id: str | None
    ) -> dict[str, Any]:
        if amount is not None and usage is not None:
            raise ValueError("settle by an amount or by usage, not by both")
        items: Sequence[Mapping[str, Any]] | None = [usage] if isinstance(usage, Mapping) else usage
        body = {"account_id": handle.body.get("account_id"), "amount": amount}
        if items is not None:
            action = compact({"action": handle.body.get("action")})
            body["usage"] = [item((action if "amount" not in one else {}) | dict(one)) for one in items]
        return item(body | ({"final": False, "id": draw_id} if draw_id is not None else {}))

    def late(self, handle: Handle, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The settlement as events of usage, should the hold be closed when it arrives."""
        placed = {
            name: value for name, value in handle.body.items() if name not in ("parent_id", "expires_in")
        }
        subjects = {
            name: v
            for name, v in placed.items()
            if name not in ("action", "amount", "quantity", "dimensions")
        }
        if "usage" in body:
            items = [subjects | one for one in body["usage"]]
        elif "amount" in body:
            items = [placed | {"amount": body["amount"]}]
        elif handle.drawn and handle.state is not None:
            items = [placed | {"amount": format(handle.state.remaining, "f")}]
        else:
            items = [placed]
        base = handle.id if handle.offline else f"{handle.id}:late"
        base += f":{body['id']}" if "id" in body else ""
        when = now_text()
        return [
            one | {"id": f"{base}:{number}" if number else base, "occurred_at": when}
            for number, one in enumerate(items)
            if one.get("amount") != "0"
        ]


def _usage(event: Mapping[str, Any], lent: int = 0) -> Entry:
    return Entry(USAGE, dump(event).decode(), lent)


def place_body(event: dict[str, Any], parent_id: str | None, expires_in: int) -> dict[str, Any]:
    """A hold to place. What is reserved by amount alone has no quantity."""
    body = {"id": new_id("hold")} | event | {"parent_id": parent_id, "expires_in": expires_in}
    if "action" not in event:
        del body["quantity"]
    return compact(body)
