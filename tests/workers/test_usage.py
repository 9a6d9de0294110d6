"""Usage from the queue: accepted usage is never lost and never counted twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import queue
from shared.errors import DatabaseUnavailable, Refused
from tests.workers.world import ACCOUNT, CREDIT, World
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
    assert {row["event_id"]: row["code"] for row in parked(world)} == {
        "u1": "unknown_account",
        "u2": "unknown_action",
    }


def test_unknown_models_and_dimensions_are_kept_once_and_told_to_operators(world: World) -> None:
    rates = {"input": {"credits": CREDIT, "per": 1_000}}
    world.ledger.set_action_cost({"action": "llm", "model": "m1", "rates": rates}, "test")
    batch = [
        event(1, amount=None, action="llm", dimensions={"model": "m2", "input": 1_000}),
        event(2, amount=None, action="llm", dimensions={"model": "m1", "output": 1_000}),
        event(3, amount=None, action="llm", dimensions={"model": "m1", "input": 2_000}),
    ]
    for _ in range(2):
        usage.record_usage(world.app, batch)
    assert [(row["event_id"], row["code"]) for row in parked(world)] == [
        ("u1", "unknown_model"),
        ("u2", "unknown_dimension"),
    ]
    assert world.balance == 98
    assert len(world.notices("operations.usage_unpriced")) == 2


def test_repeats_with_other_content_are_kept_and_change_nothing(world: World) -> None:
    usage.record_usage(world.app, [event(1), event(1, amount="2"), event(2), event(2)])
    usage.record_usage(world.app, [event(2, amount="3"), event(3)])
    unpriced = event(4, amount=None, action="unheard_of")
    usage.record_usage(world.app, [unpriced])
    usage.record_usage(world.app, [{**unpriced, "quantity": 7}])
    assert world.balance == 97
    assert [(row["event_id"], row["code"]) for row in parked(world)] == [
        ("u1", "idempotency_conflict"),
        ("u2", "idempotency_conflict"),
        ("u4", "unknown_action"),
        ("u4", "idempotency_conflict"),
    ]
    assert [row["event"].get("quantity") for row in parked(world)][-2:] == [1, 7]


def test_late_events_are_booked_when_they_happened_and_at_that_times_price(world: World) -> None:
    world.ledger.set_action_cost({"action": "dance", "credits": CREDIT}, "test")
    world.query("update billing.agent_action_costs set created_at = created_at - interval '9 days'")
    world.ledger.set_action_cost({"action": "dance", "credits": 2 * CREDIT}, "test")
    before = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    usage.record_usage(
        world.app,
        [event(1, amount=None, action="dance", occurred_at=before), event(2, amount=None, action="dance")],
    )
    rows = world.query(
        "select event_id, credits, occurred_at, created_at from billing.credit_usage order by id"
    )
    assert {row["event_id"]: row["credits"] // CREDIT for row in rows} == {"u1": 1, "u2": 2}
    late = next(row for row in rows if row["event_id"] == "u1")
    assert late["occurred_at"] == datetime.fromisoformat(before)
    assert late["created_at"] - late["occurred_at"] >= timedelta(days=3)
    world.assert_sound()


@pytest.mark.parametrize("bad", [{"id": "u1", "amount": "1e3"}, {"amount": "1"}, {"id": "u1", "quantity": 0}])
def test_malformed_event_waits_for_an_operator_not_for_a_card(world: World, bad: dict[str, Any]) -> None:
    """Whatever of it can be read, its account is known: it is kept, and its id stays free for the event put right."""
    usage.record_usage(world.app, {"account_id": ACCOUNT, **bad})
    (row,) = parked(world)
    assert (row["code"], row["event_id"], row["account_id"]) == ("invalid_value", bad.get("id"), ACCOUNT)
    assert row["event"]["rejected"].startswith("invalid_")
    assert world.notices("operations.usage_unpriced") == []
    usage.record_usage(world.app, event(1))
    assert world.balance == 99
    assert len(parked(world)) == 1


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
