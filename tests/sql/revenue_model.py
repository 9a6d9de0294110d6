"""Plain Python that knows nothing of the ledger's SQL: what paid credits come to, month by month."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import defaultdict
from fractions import Fraction

FIGURES = ("sold", "restored", "refunded", "disputed", "broken", "used")
NEVER = math.inf


@dataclasses.dataclass
class Lot:
    """A grant; credits are micro-credits, times are days of the model."""

    kind: str
    paid: int
    granted: int
    remaining: int
    expires: float
    moves: list[tuple[float, str, int]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Payment:
    """A purchase and what became of it."""

    lot: Lot
    amount: int
    refunded: int = 0
    disputed: int = 0


class Model:
    """One account."""

    def __init__(self) -> None:
        self.now = 0.0
        self.balance = 0
        self.lots: list[Lot] = []

    def grant(self, kind: str, credits: int, paid: int = 0, days: float = NEVER) -> Lot:
        debt = min(credits, max(0, -self.balance))
        lot = Lot(kind, paid, credits, credits - debt, self.now + days)
        lot.moves.append((self.now, "sold", credits))
        lot.moves.append((self.now, "used", -debt))
        self.lots.append(lot)
        self.balance += credits
        return lot

    def take(self, credits: int, why: str, first: Lot | None = None) -> None:
        self.balance -= credits
        order = sorted(
            (lot for lot in self.lots if lot.remaining),
            key=lambda lot: (lot is not first, lot.expires, lot.paid > 0, self.lots.index(lot)),
        )
        for lot in order:
            part = min(credits, lot.remaining)
            lot.remaining -= part
            lot.moves.append((self.now, why, -part))
            credits -= part

    def give_back(self, lot: Lot, credits: int) -> None:
        own = credits - min(credits, max(0, -self.balance))
        self.balance += credits
        lot.remaining += own
        lot.moves.append((self.now, "restored", own))

    def reverse(self, payment: Payment, refunded: int, gone: int) -> None:
        """Refunds and disputes of a payment come to these minor units now."""

        def share(part: int) -> int:
            return min(payment.lot.granted, half_up(Fraction(payment.lot.granted * part, payment.amount)))

        refunds = share(refunded)
        disputes = share(refunded + gone) - refunds
        changes = (
            ("refunded", refunds - payment.refunded),
            ("disputed", disputes - payment.disputed),
        )
        payment.refunded, payment.disputed = refunds, disputes
        for why, change in changes:
            if change > 0:
                self.take(change, why, payment.lot)
            elif change < 0:
                self.give_back(payment.lot, -change)

    def pass_days(self, days: float) -> None:
        self.now += days
        self.expire()

    def expire(self) -> None:
        for lot in self.lots:
            if lot.remaining and lot.expires <= self.now:
                lot.moves.append((self.now, "broken", -lot.remaining))
                self.balance -= lot.remaining
                lot.remaining = 0

    def revenue(self, month: dt.date, end: dt.datetime) -> dict[str, dict[str, int]]:
        """By kind of sale; end: when it is now."""

        def month_of(day: float) -> dt.date:
            return (end - dt.timedelta(days=self.now - day)).date().replace(day=1)

        kinds: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for lot in self.lots:
            if not lot.paid:
                continue
            steps = dict.fromkeys(FIGURES, 0)
            opening = 0
            for day, why, credits in lot.moves:
                if month_of(day) < month:
                    opening += credits
                elif month_of(day) == month:
                    steps[why] += credits
            level, figures = opening, kinds[f"{lot.kind}s"]
            figures["opening"] += worth(lot, level)
            for why in FIGURES:
                before, level = level, level + steps[why]
                figures[why] += abs(worth(lot, level) - worth(lot, before))
            figures["closing"] += worth(lot, level)
        return {kind: dict(figures) for kind, figures in kinds.items() if any(figures.values())}


def worth(lot: Lot, remaining: int) -> int:
    return half_up(Fraction(lot.paid * remaining, lot.granted))


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
