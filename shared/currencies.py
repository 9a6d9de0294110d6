"""Stripe's currencies and their rules: shared/currencies.csv, read once. Amounts are minor units as Stripe's API takes them.

Source: docs.stripe.com/currencies (zero-decimal, three-decimal, special cases, minimum and maximum charge amounts), read in
November 2026. Where that page and ISO 4217 or CLDR differ, the page counts: ISK and UGX are written with two decimals that
are always 00.

- `decimals`: digits of the minor unit. `step`: amounts are multiples of it. The last digit of three-decimal amounts is 0.
- `minimum`: the smallest charge. `minimum_by` is `stripe` where Stripe publishes it. For others Stripe asks for the
  equivalent of the minimum of the currency that it settles in: then `equivalent`, 0.50 USD with some room, rounded up.
- `maximum`: what every kind of payment method takes, by the number of digits. Cards take more, and it is not promised.
- `day_cap`, `month_cap`: what caps of auto top-up begin with, round amounts of about 100 and 500 USD.

The seed of `billing.currencies` is written from it (`python -m local.currency_seed`); a test compares the two.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final, NamedTuple

CAP_MAX: Final = 999_999_999_999
"""The largest amount that a field takes, in minor units: twelve digits, the most that Stripe takes in any currency."""

_TABLE: Final = Path(__file__).with_name("currencies.csv")


class Currency(NamedTuple):
    """A row of the table; see above."""

    code: str
    decimals: int
    step: int
    minimum: int
    maximum: int
    day_cap: int
    month_cap: int
    minimum_by: str


def _read() -> dict[str, Currency]:
    with _TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["code"]: Currency(
            code=row["code"],
            decimals=int(row["decimals"]),
            step=int(row["step"]),
            minimum=int(row["minimum"]),
            maximum=int(row["maximum"]),
            day_cap=int(row["day_cap"]),
            month_cap=int(row["month_cap"]),
            minimum_by=row["minimum_by"],
        )
        for row in rows
    }


CURRENCIES: Final = _read()
"""By code, as Stripe writes it: lower case."""


def currency(code: str) -> Currency:
    """The rules of a currency. One that is not in the table has two decimals, as Stripe's page says of every
    currency that it does not name, and no bounds: an object of Stripe's may name it.
    """
    return CURRENCIES.get(code) or Currency(code, 2, 1, 1, CAP_MAX, 10_000, 50_000, "unknown")
