"""Money as people read and type it. Everywhere else it is an integer of minor units beside its currency.

The number of decimals is Stripe's (shared/currencies.py), not CLDR's: an amount is written as it is charged.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from babel.numbers import format_currency, get_currency_symbol

from shared.currencies import CAP_MAX, currency
from shared.numerals import ungrouped

LOCALE: Final = "en"
# Those that are written with their symbol in front; others with their code behind: one currency's $ or kr is another's.
_BY_SYMBOL: Final = frozenset(("usd", "eur", "gbp", "aud", "cad"))
_TYPED: Final = re.compile(r"(?P<whole>[0-9]{1,12})(?:\.(?P<fraction>[0-9]+))?", re.ASCII)


def to_text(amount: int, code: str) -> str:
    """Minor units as people write them: 500, usd -> "$5.00"; 1050, jpy -> "1,050 JPY"; 9200, kwd -> "9.200 KWD"."""
    decimals = currency(code).decimals
    number = "#,##0" + ("." + "0" * decimals if decimals else "")
    pattern = f"¤{number}" if code in _BY_SYMBOL else f"{number} ¤¤"
    exact = Decimal(amount).scaleb(-decimals)
    return format_currency(exact, code.upper(), format=pattern, locale=LOCALE, currency_digits=False)


def to_decimal(amount: int, code: str) -> str:
    """Minor units as a plain decimal, for files: 123450, usd -> "1234.50"; 9200, kwd -> "9.200"."""
    return f"{Decimal(amount).scaleb(-currency(code).decimals):f}"


def from_text(text: str, code: str) -> int:
    """What a person typed as minor units: "5", "5.00", "$1,050.00" in usd; what to_text writes, in any currency.

    All the decimals of the currency or none, and commas between thousands alone. In three-decimal currencies "1,050" is
    refused: by some it is meant as 1.050. Raises ValueError for anything else; its text goes on after "Write".
    """
    rules = currency(code)
    plain = text.strip()
    if code in _BY_SYMBOL:
        plain = plain.removeprefix(get_currency_symbol(code.upper(), LOCALE))
    plain = plain.removesuffix(code.upper()).rstrip()
    found = _TYPED.fullmatch(ungrouped(plain))
    three_digits = rules.decimals == 3 and plain.count(",") == 1 and "." not in plain  # noqa: PLR2004
    if found is None or three_digits or len(found["fraction"] or "") not in (0, rules.decimals):
        raise ValueError("an amount of money such as " + to_text(rules.day_cap // 2, code))
    amount = int(found["whole"] + (found["fraction"] or "0" * rules.decimals))
    if amount > CAP_MAX:
        raise ValueError("a smaller amount of money, such as " + to_text(rules.day_cap // 2, code))
    return amount
