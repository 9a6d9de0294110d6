"""Credits, ids, and what calls take and answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, TypedDict

MICRO = 1_000_000
"""Micro-credits of a credit. Inside, credits are whole micro-credits."""
Credits = Decimal | int | str
"""Credits as callers write them: Decimal("0.5"), 2 or "12.5"; at most six decimals."""
Item = Mapping[str, Any]
"""What something cost: action or amount, and quantity, dimensions, agent, department_id, member_id, run_id, metadata."""
Usage = Item | Sequence[Item]


class Fields(TypedDict, total=False):
    """Who spends and for what. `account_id` goes before the client's own."""

    account_id: str | None
    agent: str | None
    department_id: str | None
    member_id: str | None
    run_id: str | None
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True)
class Spend:
    """A spend. recorded: the service was away; it was let through (fail open) and is booked later."""

    id: str
    credits: Decimal
    available: Decimal | None
    status: str | None
    transaction_id: str | None
    recorded: bool = False


@dataclass(frozen=True)
class Quote:
    """What something would cost now and whether it would be let through. Promises nothing."""

    credits: Decimal
    available: Decimal
    sufficient: bool
    binding: str
    status: str


@dataclass(frozen=True)
class HoldState:
    """A hold as the service last told. remaining: what may still be spent or reserved from it."""

    id: str
    state: str
    amount: Decimal
    settled: Decimal
    spent: Decimal
    reserved: Decimal
    remaining: Decimal
    expires_at: datetime
    available: Decimal
    status: str
    refusal: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> HoldState:
        """From the service's answer."""
        return cls(
            id=data["id"],
            state=data["state"],
            **{name: Decimal(data[name]) for name in ("amount", "settled", "spent", "reserved", "remaining")},
            expires_at=datetime.fromisoformat(data["expires_at"].replace("Z", "+00:00")),
            available=Decimal(data["available"]),
            status=data["status"],
            refusal=data.get("refusal"),
        )


def new_id(prefix: str) -> str:
    """An id that nobody else has."""
    return f"{prefix}_{uuid.uuid4().hex}"


def now_text() -> str:
    """The current time, as events carry it."""
    return datetime.now(timezone.utc).isoformat()


def to_micro(value: Credits) -> int:
    """Micro-credits. TypeError for floats, which are not exact; ValueError past six decimals."""
    if isinstance(value, (float, bool)):
        raise TypeError(f"credits are Decimal, int or str, not {type(value).__name__}: {value!r}")
    micro = Decimal(value) * MICRO
    if micro != micro.to_integral_value() or micro < 0:
        raise ValueError(f"credits are zero or more, with at most six decimals: {value!r}")
    return int(micro)


def to_text(micro: int) -> str:
    """Credits for the wire."""
    return format((Decimal(micro) / MICRO).normalize(), "f")


def compact(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not given. An absent field and a missing one are one content to the service."""
    return {name: value for name, value in values.items() if value is not None}


def item(values: Mapping[str, Any]) -> dict[str, Any]:
    """An item of usage for the wire: credits as text."""
    found = compact(values)
    if "amount" in found:
        found["amount"] = to_text(to_micro(found["amount"]))
    return found
