"""The rules of the books in plain Python, without a clock of their own: what the database is compared with."""

from __future__ import annotations

import dataclasses
import math

THRESHOLD, AMOUNT = 10, 100
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


@dataclasses.dataclass
class Account:
    """Lots, a debt, and the ids that were used."""

    debt: int = 0
    lots: list[Lot] = dataclasses.field(default_factory=list)
    keys: dict[str, int] = dataclasses.field(default_factory=dict)
    adjustments: dict[str, int] = dataclasses.field(default_factory=dict)
    sources: set[str] = dataclasses.field(default_factory=set)

    @property
    def balance(self) -> int:
        return sum(lot.remaining for lot in self.lots) - self.debt

    def open_lots(self) -> list[tuple[str, int]]:
        """In burn order."""
        return [
            (lot.source, lot.remaining)
            for lot in sorted(self.lots, key=lambda lot: lot.place)
            if lot.remaining
        ]

    def expire(self, now: float) -> None:
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

    def spend(self, event_id: str, credits: int) -> str:
        """What a spend answers: spent, replayed, or the code of its refusal."""
        if event_id in self.keys:
            return "replayed" if self.keys[event_id] == credits else "idempotency_conflict"
        if self.balance < credits:
            return "insufficient_credits"
        self.keys[event_id] = credits
        self.debit(credits)
        return "spent"

    def use(self, batch: list[tuple[str, int]]) -> int:
        """How many events of a batch are booked: the first of each new id."""
        new = {event_id: credits for event_id, credits in reversed(batch) if event_id not in self.keys}
        self.keys |= new
        self.debit(sum(new.values()))
        return len(new)

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
        if self.balance > THRESHOLD:
            return None
        return AMOUNT * ((THRESHOLD - self.balance) // AMOUNT + 1)
