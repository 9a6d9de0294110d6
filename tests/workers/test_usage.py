"""Usage from the queue: accepted usage is never lost and never counted twice."""

from __future__ import annotations

from typing import Any

import pytest

from shared import queue
from shared.errors import DatabaseUnavailable, Refused
from tests.workers.world import ACCOUNT, World
from workers import actors, usage


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"u{number}", "account_id": ACCOUNT, "amount": "1", **changes}


def cloud_event(number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"u{number}",
        "source": "agents",
        "type": "refill.usage",
        "subject": ACCOUNT,
        "data": {"amount": "1"},
    }


def parked(world: World) -> list[dict[str, Any]]:
    return world.query("select * from billing.parked_usage order by id")


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (event(1), 99),
        ([event(1), event(2)], 98),
        (cloud_event(1), 99),
        ([cloud_event(1), cloud_event(2)], 98),
        ([event(1), event(1)], 99),
    ],
)
def test_every_form_is_booked_once(world: World, body: Any, left: int) -> None:
    usage.record_usage(world.app, body)
    usage.record_usage(world.app, body)
    assert [world.balance, parked(world)] == [left, []]


def test_large_batches_are_split(world: World) -> None:
    usage.record_usage(world.app, [event(number, amount="0.01") for number in range(2_500)])
    assert world.balance == 75


def test_malformed_events_are_kept_and_do_not_take_their_neighbours_along(world: World) -> None:
    batch = [
        event(1),
        event(2, amount="1e3"),
        {"id": "u3"},
        "text",
        None,
        event(4, metadata={"a": "\x00"}),
        event(5),
    ]
    usage.record_usage(world.app, batch)
    assert [world.balance, len(parked(world))] == [98, 5]
    assert "1e3" in parked(world)[0]["event"]["raw"]


def test_unknown_account_and_action_are_kept(world: World) -> None:
    usage.record_usage(
        world.app, [event(1, account_id="acct_nobody"), event(2, amount=None, action="unheard_of")]
    )
    assert [row["code"] for row in parked(world)] == ["unknown_account", "unknown_action"]


def test_event_that_the_database_refuses_is_kept_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    book = world.ledger.record_usage

    def refuse_second(events: list[Any], account_id: str | None = None, *, park: bool = False) -> Any:
        if any(item["id"] == "u2" and "raw" not in item for item in events):
            raise Refused("22003", code="invalid_value")
        return book(events, account_id, park=park)

    monkeypatch.setattr(world.ledger, "record_usage", refuse_second)
    usage.record_usage(world.app, [event(1), event(2), event(3)])
    assert [world.balance, [row["event_id"] for row in parked(world)]] == [98, ["u2"]]


def test_reaching_the_threshold_asks_for_a_check(world: World) -> None:
    usage.record_usage(world.app, event(1, amount="95"))
    assert world.queue.sent == [(queue.CHECK_THRESHOLD, ACCOUNT)]


def test_empty_batch_is_nothing(world: World) -> None:
    usage.record_usage(world.app, [])
    assert world.balance == 100


def test_usage_is_kept_while_the_database_is_away_and_faults_are_given_up() -> None:
    assert actors.keep_usage(10_000, DatabaseUnavailable("down")) is True
    assert [actors.keep_usage(tries, KeyError()) for tries in (2, 3)] == [True, False]
