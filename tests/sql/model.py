"""The rules of the books in plain Python, without a clock of their own: what the database is compared with."""

from __future__ import annotations

import dataclasses
import math

THRESHOLD, AMOUNT = 10, 100
AGENT, DAY = "scout", 1440
MOMENT = 1e-6  # between two movements of the same minute


@dataclasses.dataclass
class Lot:
    """A grant and what is left of it. Times are minutes of the model's clock."""

    source: str
    remaining: int
    priority: int = 100
    expires: float = math.inf
    paid: bool = False
    number: int = 0

    @property
    def place(self) -> tuple[int, float, bool, int]:
        return self.priority, self.expires, self.paid, self.number


@dataclasses.dataclass(eq=False)
class Hold:
    """A reservation, from the account or from a parent."""

    parent: Hold | None
    content: object
    amount: int
    expires: float
    placed: float
    agent: str | None
    state: str = "open"
    spent: int = 0
    settled: int = 0
    reserved: int = 0
    settlement: object = None
    draws: dict[str, object] = dataclasses.field(default_factory=dict)

    @property
    def remaining(self) -> int:
        return max(self.amount - self.spent, self.reserved) if self.state == "open" else 0

    @property
    def chain(self) -> list[Hold]:
        """From the root down to itself."""
        return [*(self.parent.chain if self.parent else []), self]

    @property
    def counts(self) -> bool:
        """Whether its remainder counts against the limit: no ancestor's does already."""
        return self.agent == AGENT and all(hold.agent != AGENT for hold in self.chain[:-1])

    def extend(self, until: float) -> None:
        """Its ancestors with it; none beyond a day from its placing."""
        latest = math.inf
        for hold in self.chain:
            latest = min(latest, hold.placed + DAY)
            hold.expires = min(max(hold.expires, until), latest)


@dataclasses.dataclass
class Account:
    """Lots, a debt, holds, the limit of one agent, and the ids that were used."""

    debt: int = 0
    lots: list[Lot] = dataclasses.field(default_factory=list)
    keys: dict[str, object] = dataclasses.field(default_factory=dict)
    holds: dict[str, Hold] = dataclasses.field(default_factory=dict)
    limit: int | None = None
    used: int = 0
    now: float = 0.0
    adjustments: dict[str, int] = dataclasses.field(default_factory=dict)
    sources: set[str] = dataclasses.field(default_factory=set)

    @property
    def balance(self) -> int:
        return sum(lot.remaining for lot in self.lots) - self.debt

    @property
    def held(self) -> int:
        return sum(hold.remaining for hold in self.holds.values() if hold.parent is None)

    @property
    def counted(self) -> int:
        """What counts against the limit: spent, and still reserved."""
        return self.used + sum(hold.remaining for hold in self.holds.values() if hold.counts)

    def open_lots(self) -> list[tuple[str, int]]:
        """In burn order."""
        return [
            (lot.source, lot.remaining)
            for lot in sorted(self.lots, key=lambda lot: lot.place)
            if lot.remaining
        ]

    def expire(self, now: float) -> None:
        self.now = now
        for lot in self.lots:
            if lot.expires <= now + 1000 * MOMENT:
                lot.remaining = 0

    def grant(self, lot: Lot) -> None:
        """Debt first; one source grants once."""
        if lot.source in self.sources:
            return
        self.sources.add(lot.source)
        paid = min(self.debt, lot.remaining)
        self.debt -= paid
        self.lots.append(dataclasses.replace(lot, remaining=lot.remaining - paid, number=len(self.lots)))

    def debit(self, credits: int) -> None:
        """In burn order; what the lots do not cover is debt."""
        for lot in sorted(self.lots, key=lambda lot: lot.place):
            drawn = min(lot.remaining, credits)
            lot.remaining -= drawn
            credits -= drawn
        self.debt += credits

    def passes(self, before: int) -> bool:
        """Whether a movement since then passes the limit."""
        return self.limit is not None and self.counted > max(before, self.limit)

    def find(self, credits: int) -> bool:
        """Whether the account has the credits; holds whose time is up give way."""
        if self.balance - self.held < credits:
            self.expire_holds()
        return self.balance - self.held >= credits

    def spend(
        self, event_id: str, credits: int, agent: str | None, content: object, hold_id: str | None
    ) -> str:
        """What a spend answers: spent, replayed, or the code of its refusal, which the caller undoes."""
        if event_id in self.keys:
            return "replayed" if self.keys[event_id] == content else "idempotency_conflict"
        before, hold = self.counted, self.holds.get(hold_id or "")
        if hold_id is None:
            if not self.find(credits):
                return "insufficient_credits"
        elif hold is None or hold.state != "open":
            return "state_conflict" if hold else "not_found"
        elif hold.amount - hold.spent - hold.reserved < credits:
            return "limit_reached"
        self.keys[event_id] = content
        if hold:
            self.charge(hold, credits, "open")
        self.debit(credits)
        self.used += credits * ((agent or (hold and hold.agent)) == AGENT)
        return "limit_reached" if self.passes(before) else "spent"

    def use(self, batch: list[tuple[str, int]]) -> int:
        """How many events of a batch are booked: the first of each new id."""
        new = {event_id: credits for event_id, credits in reversed(batch) if event_id not in self.keys}
        self.keys |= {event_id: (credits, None, None) for event_id, credits in new.items()}
        self.debit(sum(new.values()))
        return len(new)

    # Holds

    def place(
        self,
        hold_id: str,
        credits: int,
        parent_id: str | None,
        minutes: int,
        agent: str | None,
        content: object,
    ) -> str:
        """placed, replayed, or the code of its refusal, which the caller undoes."""
        known, before, parent = self.holds.get(hold_id), self.counted, self.holds.get(parent_id or "")
        if known:
            return "replayed" if known.content == content else "idempotency_conflict"
        if parent_id is None:
            if not self.find(credits):
                return "insufficient_credits"
        elif parent is None or parent.state != "open":
            return "state_conflict" if parent else "not_found"
        elif parent.amount - parent.spent - parent.reserved < credits:
            return "limit_reached"
        agent = agent or (parent.agent if parent else None)
        hold = Hold(parent, content, credits, self.now + minutes, self.now, agent)
        hold.extend(hold.expires)
        self.holds[hold_id] = hold
        if parent:
            parent.reserved += credits
        return "limit_reached" if self.passes(before) else "placed"

    def charge(self, hold: Hold, credits: int, state: str) -> None:
        """Through the hold and all above it; what they held for it is held no longer."""
        hold.settled += credits
        delta = 0
        for link in reversed(hold.chain):
            before = link.remaining
            link.spent += credits
            link.reserved += delta
            if link is hold:
                link.state = state
            delta = link.remaining - before

    def close(self, hold: Hold, state: str) -> None:
        for other in self.holds.values():
            if other.parent is hold and other.state == "open":
                self.close(other, state)
        self.charge(hold, 0, state)

    def expire_holds(self) -> None:
        for hold in self.holds.values():
            if hold.state == "open" and hold.expires <= self.now:
                self.close(hold, "expired")

    def settle(self, hold_id: str, credits: int | None, content: object, draw_id: str | None) -> str:
        """settled, replayed, or the code of its refusal. A draw leaves the hold as it is."""
        hold = self.holds.get(hold_id)
        if hold is None:
            return "not_found"
        known = hold.draws.get(draw_id) if draw_id else hold.settlement
        if known is not None:
            return "replayed" if known == content else "idempotency_conflict"
        if hold.state in ("settled", "released"):
            return "state_conflict"
        if draw_id is None:
            for other in self.holds.values():
                if other.parent is hold and other.state == "open":
                    self.close(other, "released")
            hold.settlement = content
        else:
            hold.draws[draw_id] = content
        if credits is None:
            credits = max(0, hold.amount - hold.spent)
        self.charge(hold, credits, hold.state if draw_id else "settled")
        self.debit(credits)
        self.used += credits * (hold.agent == AGENT)
        return "settled"

    def reserve(self, hold_id: str, credits: int) -> str:
        """More for an open hold: reserved, or why not, which the caller undoes."""
        hold, before = self.holds[hold_id], self.counted
        if hold.state != "open" or hold.expires <= self.now:
            return "RF010"
        if hold.parent is None and not self.find(credits):
            return "RF002"
        if hold.parent and hold.parent.amount - hold.parent.spent - hold.parent.reserved < credits:
            return "RF003"
        hold.amount = hold.spent + hold.remaining + credits
        if hold.parent:
            hold.parent.reserved += credits
        # A child is counted by the nearest ancestor that counts for it, and that has reserved nothing more.
        return "RF003" if self.passes(before) else "reserved"

    def adjust(self, adjustment_id: str, credits: int) -> str:
        known = self.adjustments.setdefault(adjustment_id, credits)
        if known != credits:
            return "idempotency_conflict"
        if credits > 0:
            self.grant(Lot(f"adjustment:{adjustment_id}", credits))
        elif adjustment_id not in self.sources:
            self.sources.add(adjustment_id)
            self.debit(-credits)
        return "booked"

    def topup_credits(self) -> int | None:
        """What an automatic charge would add now, in whole amounts above the threshold; None when it is not due."""
        available = self.balance - self.held
        if available > THRESHOLD:
            return None
        return AMOUNT * ((THRESHOLD - available) // AMOUNT + 1)
