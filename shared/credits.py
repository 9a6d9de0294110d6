"""Credits as people and JSON write them, and as the books count them: 1 credit = 1,000,000 micro-credits."""

from __future__ import annotations

import re
from typing import Any

from shared.numerals import ungrouped

MICRO = 1_000_000
MAX_MICRO = 1_000_000_000 * MICRO
"""The most that one movement may carry: a thousand million credits."""

_DECIMAL = re.compile(r"(?P<whole>0|[1-9][0-9]{0,12})(?:\.(?P<fraction>[0-9]{1,6}))?", re.ASCII)


def to_text(micro: int) -> str:
    """Micro-credits as a decimal string without trailing zeros: 12_500_000 -> "12.5"."""
    whole, fraction = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{f'{fraction:06d}'.rstrip('0')}"


def from_json(value: object) -> int:
    """A JSON string such as "12.5", or a JSON integer, as micro-credits; zero is allowed.

    Raises ValueError for anything else: floats, booleans, exponents, signs, digits of other scripts, more than six
    decimals, more than MAX_MICRO.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError('credits are a decimal string such as "12.5", or an integer')  # noqa: TRY004 - pydantic's
    text = value if isinstance(value, str) else str(value) if 0 <= value <= MAX_MICRO else ""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(
            'credits are a decimal string such as "12.5" with at most six decimals, not negative'
        )
    micro = int(match["whole"]) * MICRO + int((match["fraction"] or "").ljust(6, "0"))
    if micro > MAX_MICRO:
        raise ValueError("at most 1000000000 credits")
    return micro


def from_text(text: str) -> int:
    """What a person typed as micro-credits: "50", "12.5", "1,050.25"; commas stand between thousands alone.

    Raises ValueError for anything else; its text goes on after "Write".
    """
    plain = ungrouped(text.strip())
    if _DECIMAL.fullmatch(plain) is None:
        raise ValueError("a number of credits such as 50 or 12.5")
    return from_json(plain)


FIELDS = frozenset(
    (
        "available", "held", "balance", "debt", "credits", "threshold", "granted", "remaining", "settled", "used", "left",
        "opening", "closing", "net", "credits_in", "credits_out", "filled", "drawn", "expired", "debt_opening",
        "debt_closing", "level",
    )
)  # fmt: skip
"""Names under which rows carry micro-credits."""


def readable(value: Any, name: str = "") -> Any:
    """A JSON value with the credits in it as decimal strings, by the names of their fields."""
    if isinstance(value, dict):
        return {key: readable(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return to_text(value) if name in FIELDS and type(value) is int else value
