"""Usage from the queue: accepted usage is never lost and never counted twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest

from shared import queue
from shared.db_errors import translate
from shared.errors import DatabaseUnavailable, QueueUnavailable, Refused
from tests.workers.world import ACCOUNT, CREDIT, World
from workers import middleware, retrying, usage


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


def broken_for(world: World, event_id: str, sqlstate: str = "XX001") -> None:
    """One event meets a damaged page: every booking of it fails, and no other."""
    world.query(
        "create or replace function billing.probe_damage() returns trigger language plpgsql as $$ begin"
        f" if new.event_id = '{event_id}' then raise exception using errcode = '{sqlstate}'; end if;"
        " return new; end $$"
    )
    world.query(
        "create or replace trigger probe_damage before insert on billing.credit_usage_keys"
        " for each row execute function billing.probe_damage()"
    )


@pytest.mark.parametrize("sqlstate", ["XX001", "58030", "XX000", "23505"])
def test_an_event_over_which_the_database_fails_keeps_no_neighbour_waiting(
    world: World, sqlstate: str
) -> None:
    broken_for(world, "u7", sqlstate)
    batch = [event(number, amount="0.01") for number in range(1, 1_101)]
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            usage.record_usage(world.app, batch)
    assert (world.balance, parked(world)) == (100 - 10.99, [])
    world.query("drop trigger probe_damage on billing.credit_usage_keys")
    usage.record_usage(world.app, batch)
    assert world.balance == 89
    world.assert_sound()


def test_a_message_costs_a_failing_database_few_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def failing(events: list[Any], *, park: bool) -> Any:
        assert park
        calls.append(len(events))
        raise translate(fails_with[-1], "", None)

    monkeypatch.setattr(world.ledger, "record_usage", failing)
    fails_with: list[str | None] = []
    for sqlstate, most in (("25006", 1), (None, 1), ("42883", usage.FAILURES_MAX)):
        calls.clear()
        fails_with.append(sqlstate)
        with pytest.raises(DatabaseUnavailable):
            usage.record_usage(world.app, [event(number) for number in range(1_000)])
        assert len(calls) <= most


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("down"),
        translate("25006", "", None),
        translate("42883", "", None),
        translate(None, "", None),
        QueueUnavailable("down"),
        KeyError("a fault of ours"),
        RecursionError(),
    ],
)
def test_usage_is_tried_for_ever_with_growing_waits_and_one_log_line(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_events: Any) -> None:
        raise error

    policy = retrying.Policy(1_000, keeps=True)
    job = retrying.wrap(queue.RECORD_USAGE, failing, policy)
    waits = []
    for retries in range(200):
        middleware._current.message = dramatiq.Message(
            "usage", queue.RECORD_USAGE, (), {}, {"retries": retries, "requeue_timestamp": time.time() * 1000}
        )
        with pytest.raises(dramatiq.Retry) as raised:
            job([])
        assert policy.again(retries, raised.value)
        waits.append(raised.value.delay or 0)
    middleware._current.message = None
    assert waits[0] < 1_300
    assert 20_000 < min(waits[10:]) <= max(waits) < 40_000
    assert len(caplog.records) <= 1


def test_what_is_refused_is_not_tried_again() -> None:
    def refusing(_events: Any) -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        retrying.wrap(queue.RECORD_USAGE, refusing, retrying.Policy(1_000, keeps=True))([])


def test_a_message_that_fails_alone_is_kept_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def book(events: Any) -> None:
        if events == "bad":
            raise translate("XX001", "a page is damaged", None)

    job = retrying.wrap(queue.RECORD_USAGE, book, retrying.Policy(1_000, keeps=True))
    for retries in range(20):
        job("good")
        middleware._current.message = dramatiq.Message(
            "usage",
            queue.RECORD_USAGE,
            (),
            {},
            {"retries": retries, "requeue_timestamp": 1_000.0},
            message_id="the same",
        )
        with pytest.raises(dramatiq.Retry):
            job("bad")
        middleware._current.message = None
    said = [record for record in caplog.records if "keeps failing" in record.message]
    assert len(said) == 1
    assert "a page is damaged" in vars(said[0])["reason"]
