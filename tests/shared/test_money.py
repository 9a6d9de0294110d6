"""Money as people read and type it, by Stripe's decimals; and the one table of currencies."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.numbers import get_currency_precision
from hypothesis import given
from hypothesis import strategies as st

from local.currency_seed import seed
from shared import money
from shared.currencies import CAP_MAX, CURRENCIES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (500, "usd", "$5.00"),
        (5, "eur", "€0.05"),
        (123456, "chf", "1,234.56 CHF"),
        (1050, "jpy", "1,050 JPY"),
        (9200, "kwd", "9.200 KWD"),
        (92000, "bhd", "92.000 BHD"),
        (1234560, "tnd", "1,234.560 TND"),
        (50, "krw", "50 KRW"),
        # Two decimals at Stripe, none by CLDR.
        (50000, "isk", "500.00 ISK"),
        (200000, "ugx", "2,000.00 UGX"),
        (17500, "huf", "175.00 HUF"),
        (9999999999999, "idr", "99,999,999,999.99 IDR"),
        (-550, "usd", "-$5.50"),
        (-9200, "kwd", "-9.200 KWD"),
        (0, "jpy", "0 JPY"),
        (1234, "zzz", "12.34 ZZZ"),
    ],
)
def test_minor_units_become_what_people_write(amount: int, currency: str, text: str) -> None:
    assert money.to_text(amount, currency) == text


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("9.200", "kwd", 9200),
        ("9.200 KWD", "kwd", 9200),
        ("9", "kwd", 9000),
        ("1,050.000", "kwd", 1_050_000),
        ("1,050,000", "kwd", 1_050_000_000),
        ("1,050", "jpy", 1050),
        ("1,050", "usd", 105_000),
        ("CA$5.00", "cad", 500),
        ("5000.00 ISK", "isk", 500_000),
        (" $1,050.00 ", "usd", 105_000),
    ],
)
def test_what_people_type_becomes_minor_units(text: str, currency: str, amount: int) -> None:
    assert money.from_text(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("9.2", "kwd"),
        ("9.20", "kwd"),
        ("1,050", "kwd"),  # by some it is meant as 1.050
        ("12,345", "bhd"),
        ("9.200", "usd"),
        ("1.050", "jpy"),
        ("5.0", "jpy"),
        ("99,99", "usd"),
        ("5.5", "usd"),
        ("5 EUR", "usd"),
        ("€5.00", "usd"),
        ("-5.00", "usd"),
        ("5.00.00", "usd"),
        ("1e3", "usd"),
        ("\u0665.\u0660\u0660", "usd"),
        ("", "kwd"),
        ("9999999999999", "usd"),
    ],
)
def test_what_is_ambiguous_or_no_amount_is_refused_with_an_example(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match="such as") as refusal:
        money.from_text(text, currency)
    example = str(refusal.value).partition("such as ")[2]
    assert example == "1,050.25" or money.from_text(example, currency) > 0


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(0, CAP_MAX))
def test_what_is_written_is_read_back_exactly(currency: str, amount: int) -> None:
    assert money.from_text(money.to_text(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123450, "usd", "1234.50"),
        (9200, "kwd", "9.200"),
        (0, "kwd", "0.000"),
        (1050, "jpy", "1050"),
        (5, "usd", "0.05"),
    ],
)
def test_files_have_plain_decimals(amount: int, currency: str, text: str) -> None:
    assert money.to_decimal(amount, currency) == text


def test_decimals_are_stripes_where_cldr_differs() -> None:
    zero = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
    assert {code for code, row in CURRENCIES.items() if row.decimals == 0} == set(zero.split())
    assert {code for code, row in CURRENCIES.items() if row.decimals == 3} == {
        "bhd",
        "jod",
        "kwd",
        "omr",
        "tnd",
    }
    assert {code for code, row in CURRENCIES.items() if row.step == 100} == {"isk", "ugx"}
    assert get_currency_precision("ISK") == get_currency_precision("UGX") == 0


@pytest.mark.parametrize(
    ("currency", "minimum"),
    [("usd", 50), ("gbp", 30), ("hkd", 400), ("sek", 300), ("mxn", 1000), ("czk", 1500), ("huf", 17500),
     ("jpy", 50), ("thb", 1000), ("aed", 200), ("dkk", 250), ("pln", 200)],
)  # fmt: skip
def test_minimums_are_those_that_stripe_publishes(currency: str, minimum: int) -> None:
    assert (CURRENCIES[currency].minimum, CURRENCIES[currency].minimum_by) == (minimum, "stripe")


def test_every_row_of_the_table_can_be_charged() -> None:
    for row in CURRENCIES.values():
        assert not any(amount % row.step for amount in (row.minimum, row.maximum, row.day_cap)), row
        assert row.step == {0: 1, 2: row.step, 3: 10}[row.decimals], row
        assert row.minimum < row.day_cap < row.month_cap, row
        assert row.month_cap == 5 * row.day_cap, row


def test_the_seed_is_written_from_the_table() -> None:
    assert (ROOT / "sql/seed/0_currencies.sql").read_text() == seed()
