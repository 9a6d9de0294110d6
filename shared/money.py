"""Money as people read it. Everywhere else it is an integer of minor units beside its currency."""

from __future__ import annotations

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
