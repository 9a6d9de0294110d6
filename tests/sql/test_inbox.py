"""The inbox of Stripe's events: kept once, leased, deferred, parked after eight claims, replayed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import Books


def receive(books: Books, event_id: str = "evt_1", parked: str | None = None) -> dict[str, Any]:
    return books.ledger.record_stripe_event(
        event_id, "x.y", "pi_1", False, "v", b'\xff{"\\u0000"}', 1_700_000_000, parked
    )


def state(books: Books) -> tuple[str, str | None]:
    row = books.ledger.list_stripe_events(None, 1)[0]
    return row["state"], row["reason"]


def due(books: Books) -> None:
    books.query("update billing.stripe_events set next_attempt_at = now()")


def test_an_event_is_kept_once_byte_by_byte(books: Books) -> None:
    assert receive(books) == {"state": "received", "fresh": True}
    with books.nothing_moves():
        assert receive(books) == {"state": "received", "fresh": False}
    claimed = books.ledger.claim_stripe_event("evt_1")
    assert claimed is not None
    assert bytes.fromhex(claimed["payload"]) == b'\xff{"\\u0000"}'
    assert (claimed["type"], claimed["object_id"], claimed["claims"]) == ("x.y", "pi_1", 1)


def test_twenty_deliveries_at_once_are_one_row(books: Books) -> None:
    answers = books.together(20, lambda _: receive(books)["fresh"])
    assert sorted(map(str, answers)) == ["False"] * 19 + ["True"]


def test_an_event_that_came_to_the_wrong_place_is_kept_but_never_worked(books: Books) -> None:
    assert receive(books, parked="livemode")["state"] == "parked"
    assert state(books) == ("parked", "livemode")
    assert books.ledger.claim_stripe_event("evt_1") is None
    assert books.ledger.due_work(10)["events"] == []


def test_one_of_twenty_workers_gets_the_event(books: Books) -> None:
    receive(books)
    answers = books.together(20, lambda _: books.ledger.claim_stripe_event("evt_1"))
    assert len([answer for answer in answers if answer is not None]) == 1


def test_an_event_of_a_worker_that_died_comes_back_after_its_lease(books: Books) -> None:
    receive(books)
    assert books.ledger.due_work(10)["events"] == ["evt_1"]
    assert books.ledger.claim_stripe_event("evt_1")
    assert books.ledger.due_work(10)["events"] == []
    assert books.ledger.claim_stripe_event("evt_1") is None
    books.age("11 seconds")
    assert books.ledger.due_work(10)["events"] == ["evt_1"]
    again = books.ledger.claim_stripe_event("evt_1")
    assert again is not None
    assert again["claims"] == 2


def test_each_lease_is_twice_as_long_as_the_one_before_up_to_an_hour(books: Books) -> None:
    receive(books)
    waits = []
    for _ in range(8):
        due(books)
        books.ledger.claim_stripe_event("evt_1")
        waits.append(
            round(
                books.value("select extract(epoch from next_attempt_at - now()) from billing.stripe_events")
            )
        )
    assert waits == pytest.approx([10, 20, 40, 80, 160, 320, 640, 1280], abs=2)


def test_an_event_that_kills_its_worker_eight_times_is_parked(books: Books) -> None:
    receive(books)
    for _ in range(8):
        due(books)
        assert books.ledger.claim_stripe_event("evt_1")
    due(books)
    assert books.ledger.claim_stripe_event("evt_1") is None
    assert state(books) == ("parked", "too_many_attempts")
    assert books.ledger.operations_summary()["events_parked"] == 1


def test_waiting_for_somebody_else_never_parks(books: Books) -> None:
    """Stripe may be away for a day."""
    receive(books)
    for _ in range(30):
        due(books)
        assert books.ledger.claim_stripe_event("evt_1")
        books.ledger.defer_stripe_event("evt_1", "stripe_unavailable")
    assert state(books) == ("received", "stripe_unavailable")
    wait = books.value("select extract(epoch from next_attempt_at - now()) from billing.stripe_events")
    assert 55 < wait <= 60


def test_the_first_wait_for_somebody_else_is_five_seconds(books: Books) -> None:
    receive(books)
    books.ledger.claim_stripe_event("evt_1")
    books.ledger.defer_stripe_event("evt_1", "stripe_unavailable")
    wait = books.value("select extract(epoch from next_attempt_at - now()) from billing.stripe_events")
    assert 3 < wait <= 5


@pytest.mark.parametrize("end", ["done", "ignored", "parked"])
def test_the_first_end_of_an_event_stands(books: Books, end: str) -> None:
    receive(books)
    books.ledger.claim_stripe_event("evt_1")
    books.ledger.finish_stripe_event("evt_1", end, None)
    with books.nothing_moves():
        books.ledger.finish_stripe_event("evt_1", "parked", "later")
        books.ledger.defer_stripe_event("evt_1", "later")
        assert books.ledger.claim_stripe_event("evt_1") is None
        assert receive(books) == {"state": end, "fresh": False}


def test_an_event_does_not_end_in_a_state_that_is_none(books: Books) -> None:
    receive(books)
    with books.nothing_moves():
        books.ledger.finish_stripe_event("evt_1", "received", None)
        books.ledger.finish_stripe_event("evt_1", "nonsense", None)


def test_a_parked_event_is_replayed_from_the_start_and_the_log_names_who_asked(books: Books) -> None:
    receive(books, parked="livemode")
    answer = books.ledger.replay_stripe_event("evt_1", "operator@example.com")
    assert (answer["state"], answer["reason"], answer["claims"]) == ("received", None, 0)
    assert "payload" not in answer
    assert books.ledger.claim_stripe_event("evt_1")
    log = books.query("select actor, action, subject from billing.audit_log")
    assert log == [{"actor": "operator@example.com", "action": "stripe_event.replayed", "subject": "evt_1"}]
    with books.refused("not_found"):
        books.ledger.replay_stripe_event("evt_2", "operator")


def test_events_are_listed_by_state_without_their_payload(books: Books) -> None:
    receive(books, "evt_1")
    receive(books, "evt_2", parked="livemode")
    assert [row["id"] for row in books.ledger.list_stripe_events("parked", 10)] == ["evt_2"]
    assert len(books.ledger.list_stripe_events(None, 10)) == 2
    assert all("payload" not in row for row in books.ledger.list_stripe_events(None, 10))
