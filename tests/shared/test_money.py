"""Money as people read it."""

from __future__ import annotations

import pytest

from shared import money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(500, "usd", "$5.00"), (5, "eur", "€0.05"), (123456, "chf", "1,234.56 CHF"), (1050, "jpy", "1,050 JPY")],
)
def test_minor_units_become_what_people_write(amount: int, currency: str, text: str) -> None:
    assert money.to_text(amount, currency) == text
