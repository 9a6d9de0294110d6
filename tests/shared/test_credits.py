"""Credits as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import credits


@given(st.integers(min_value=0, max_value=credits.MAX_MICRO))
def test_every_amount_survives_being_written_and_read(micro: int) -> None:
    assert credits.from_json(credits.to_text(micro)) == micro


@pytest.mark.parametrize(
    ("given_value", "micro"),
    [
        ("12.5", 12_500_000),
        ("0.000001", 1),
        ("1000000000", credits.MAX_MICRO),
        (5, 5_000_000),
        ("0", 0),
        (0, 0),
    ],
)
def test_accepted(given_value: object, micro: int) -> None:
    assert credits.from_json(given_value) == micro


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 1",
        "1 ",
        "01",
        "1.",
        ".5",
        "1.0000001",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        "\N{FULLWIDTH DIGIT ONE}",
        "1_000",
        "1,5",
        "0x1",
        "1000000000.000001",
        "9" * 5000,
        -1,
        10**30,
        2**63,
        1.5,
        math.nan,
        math.inf,
        True,
        False,
        None,
        [],
        {},
        b"1",
    ],
)
def test_74_refused(value: object) -> None:
    with pytest.raises(ValueError, match="credits"):
        credits.from_json(value)


@pytest.mark.parametrize(
    ("micro", "text"), [(-2_500_000, "-2.5"), (1, "0.000001"), (-1, "-0.000001"), (0, "0")]
)
def test_written(micro: int, text: str) -> None:
    assert credits.to_text(micro) == text
