"""Traffic recorded from Stripe itself, sent to the local Stripe: the same statuses, codes, fields and states come back.

`deviations.py` lists every known difference with its reason; what it does not explain fails here.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from local.stripe.app import LocalStripe
from tests.local_stripe import deviations
from tests.local_stripe.replay import FOLDER, Replay, Result, load, scenarios

EXCHANGES = 200
"""At least so many of the recorded exchanges are sent; fewer mean that something keeps them from it."""


def replay(name: str) -> Result:
    with LocalStripe.start() as server:
        result = Replay(server, name).run()
        assert server.control.violations() == []
    return result


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {name: replay(name) for name in scenarios()}


def test_recorded_calls_are_answered_as_stripe_answered_them(results: dict[str, Result]) -> None:
    found = {name: result.differences for name, result in results.items() if result.differences}
    assert found == {}


def test_most_of_the_recordings_are_replayed(
    results: dict[str, Result], record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = sum(result.replayed for result in results.values())
    skipped = sum(result.skipped for result in results.values())
    rules = len(deviations.SKIPPED) + len(deviations.EXPLAINED) + 1
    record_property("exchanges_replayed", replayed)
    record_property("deviations_listed", rules)
    with capsys.disabled():
        print(f"\n{replayed} recorded exchanges replayed, {skipped} skipped, {rules} deviations listed")
    assert replayed >= EXCHANGES


def test_every_listed_deviation_still_occurs(results: dict[str, Result]) -> None:
    listed = {reason for _, reason in [*deviations.SKIPPED, *deviations.EXPLAINED]} | {
        deviations.NOT_RECORDED
    }
    occurring = {reason for result in results.values() for reason in result.explained}
    assert listed - occurring == set()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("status",), "past_due"),
        (("latest_invoice", "lines", "data", 0, "amount"), -2499),
        (("latest_invoice", "billing_reason"), "subscription_cycle"),
        (("items", "data", 0, "surprise"), None),
    ],
)
def test_a_difference_is_noticed(path: tuple[Any, ...], wrong: Any) -> None:
    """The comparison itself: had Stripe answered this instead, the replay would say so."""
    with LocalStripe.start() as server:
        run = Replay(server, "stripe_can_swap_a_subscription")
        run.exchanges = copy.deepcopy(run.exchanges)
        target = next(
            exchange["answer"]
            for exchange in run.exchanges
            if exchange["answer"] and re.fullmatch(r"/v1/subscriptions/\w+", exchange["path"])
        )
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = wrong
        (line,) = run.run().differences
    assert str(path[-1]) in line


def test_recordings_hold_no_secrets() -> None:
    for name in scenarios():
        text = (FOLDER / f"{name}.json").read_text()
        assert not re.search(r"(sk|rk|pk)_(test|live)_|whsec_|_secret_[A-Za-z0-9]{8}", text), name
        assert load(name), name
