"""How `flask reconcile` ends: what it says, and the exit status."""

from __future__ import annotations

from typing import Any

import pytest

from web.cli.reconciliation import _say

RUN: dict[str, Any] = {
    "state": "done",
    "since": "2026-11-20T08:00:00+00:00",
    "counts": {},
    "reason": None,
    "not_compared": [],
    "differences": 0,
}
OLD = {"what": "events", "reason": "older than 30 days: Stripe keeps no event for longer"}
NO_KEY = {"what": "refunds", "reason": "STRIPE_SECRET_KEY lacks the permission"}


@pytest.mark.parametrize(
    ("run", "status", "words"),
    [
        ({}, 0, ["Stripe and the books agree.", "disputes", "2026-11-20T08:00:00"]),
        ({"differences": 2}, 1, ["2 differences are left."]),
        ({"not_compared": [OLD]}, 2, ["Incomplete", "events, older than 30 days"]),
        (
            {"not_compared": [NO_KEY], "differences": 1},
            2,
            ["refunds, STRIPE_SECRET_KEY lacks the permission"],
        ),
        (
            {"not_compared": [{"what": "payments", "reason": "unreadable"}], "counts": {"unreadable": 3}},
            2,
            ["3 objects could not be read."],
        ),
        ({"state": "failed", "reason": "too_many_attempts"}, 2, ["The run failed: too_many_attempts."]),
    ],
)
def test_the_last_words_say_what_was_not_compared_and_never_agree_about_it(
    capsys: pytest.CaptureFixture[str], run: dict[str, Any], status: int, words: list[str]
) -> None:
    assert _say({**RUN, **run}) == status  # type: ignore[typeddict-item]
    shown = capsys.readouterr().out
    assert all(word in shown for word in words), shown
    assert ("agree" in shown) == (status == 0)
