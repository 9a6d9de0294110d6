"""Money as people read it. Everywhere else it is an integer of minor units beside its currency."""

from __future__ import annotations

import re

from shared.numerals import ungrouped

# Currencies whose minor unit is the unit itself (docs.stripe.com/currencies#zero-decimal).
ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)  # fmt: skip
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "aud": "A$", "cad": "C$"}


def to_text(amount: int, currency: str) -> str:
    """Minor units as people write them: 500, usd -> "$5.00"; 1050, jpy -> "1,050 JPY"."""
    text = f"{amount:,}" if currency in ZERO_DECIMAL else f"{amount // 100:,}.{amount % 100:02d}"
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{text} {currency.upper()}"


_TYPED = re.compile(r"(?P<whole>[0-9]{1,9})(?:\.(?P<cents>[0-9]{2}))?", re.ASCII)


def from_text(text: str, currency: str) -> int:
    """What a person typed as minor units: "5", "5.00", "$1,050.00" in usd; what to_text writes, in any currency.

    Commas stand between thousands alone. Raises ValueError for anything else; its text goes on after "Write".
    """
    plain = text.strip().removeprefix(SYMBOLS.get(currency, ""))
    found = _TYPED.fullmatch(ungrouped(plain.removesuffix(currency.upper()).rstrip()))
    if found is None or (found["cents"] and currency in ZERO_DECIMAL):
        raise ValueError("an amount of money such as " + to_text(5000, currency))
    return (
        int(found["whole"])
        if currency in ZERO_DECIMAL
        else int(found["whole"]) * 100 + int(found["cents"] or 0)
    )
