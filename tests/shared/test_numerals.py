"""Credits and money as people type them: a comma never multiplies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import credits, money

TYPED = st.text(alphabet="0159,.", max_size=12)
CURRENCIES = st.sampled_from(["usd", "eur", "chf", "jpy", "sek"])


def meant(text: str, decimals: int, places: Callable[[int], bool]) -> int | None:
    """The number that the text is, in units of its last decimal; None for no number. Written anew, to compare with."""
    whole, dot, fraction = text.partition(".")
    digits = whole.replace(",", "")
    fits = digits.isdigit() and (not dot or (fraction.isdigit() and places(len(fraction))))
    if not fits or ("," in whole and f"{int(digits):,}" != whole):
        return None
    return int(digits) * 10**decimals + int(fraction.ljust(decimals, "0") or "0")


def read(parse: Callable[[], int]) -> int | None:
    try:
        return parse()
    except ValueError:
        return None


@given(TYPED)
def test_typed_credits_are_what_they_say_or_refused(text: str) -> None:
    found = read(lambda: credits.from_text(text))
    expected = meant(text, 6, lambda length: 1 <= length <= 6)
    assert found == expected or (found is None and (text[:1] == "0" or expected > credits.MAX_MICRO))  # type: ignore[operator]


@given(TYPED)
def test_typed_money_is_what_it_says_or_refused(text: str) -> None:
    found = read(lambda: money.from_text(text, "usd"))
    expected = meant(text, 2, lambda length: length == 2)
    assert found == expected or (found is None and expected is not None and expected >= 10**11)


@given(st.integers(min_value=0, max_value=10**9 - 1), CURRENCIES)
def test_money_survives_being_written_and_typed(amount: int, currency: str) -> None:
    assert money.from_text(money.to_text(amount, currency), currency) == amount


@given(st.integers(min_value=0, max_value=credits.MAX_MICRO))
def test_credits_survive_being_written_and_typed(micro: int) -> None:
    whole, dot, fraction = credits.to_text(micro).partition(".")
    assert credits.from_text(f"{int(whole):,}{dot}{fraction}") == micro


@pytest.mark.parametrize(
    "text", ["99,99", "0,5", "12,5", "1,0000", "1,00", ",100", "1,000,00", "1.000,5", "0,500"]
)
def test_comma_elsewhere_is_refused_with_the_rule(text: str) -> None:
    for parse in (credits.from_text, lambda typed: money.from_text(typed, "usd")):
        with pytest.raises(ValueError, match="commas between thousands only"):
            parse(text)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "x", "1.0000001", "\N{ARABIC-INDIC DIGIT FIVE}"])
def test_what_is_no_number_of_credits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number of credits such as 50 or"):
        credits.from_text(text)
