"""Usage that has no price yet waits for its card: kept once, told to operators once a day, booked once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)
    books.open("b", 100)


def event(event_id: str, action: str = "new", **more: Any) -> dict[str, Any]:
    return {"id": event_id, "action": action} | more


def rejected(answer: Any) -> list[tuple[str, str, bool]]:
    return [(entry["id"], entry["code"], entry["parked"]) for entry in answer["rejected"]]


def waiting(books: Books) -> list[str]:
    return [row["event_id"] for row in reversed(books.ledger.list_parked_usage(100, None)["data"])]


def repriced(books: Books) -> tuple[int, int]:
    answer = books.ledger.reprice_usage(100)
    return answer["booked"], answer["waiting"]


@pytest.mark.parametrize("park", [False, True], ids=["by HTTP", "by queue"])
def test_an_event_without_a_price_waits_once_however_often_it_comes(books: Books, park: bool) -> None:
    answer = books.ledger.record_usage(
        [event("e1"), event("e1"), {"id": "e2", "amount": CREDIT}], "a", park=park
    )
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert rejected(answer) == [("e1", "unknown_action", True)]
    with books.nothing_moves():
        assert rejected(books.ledger.record_usage([event("e1")], "a", park=park)) == [
            ("e1", "unknown_action", True)
        ]
    books.together(6, lambda _: books.ledger.record_usage([event("e1"), event("e3")], "a", park=park))
    assert sorted(waiting(books)) == ["e1", "e3"]
    assert books.balance() == 99
    books.assert_sound()


@pytest.mark.parametrize("park", [False, True], ids=["by HTTP", "by queue"])
def test_other_content_under_the_id_of_one_that_waits_is_a_conflict(books: Books, park: bool) -> None:
    books.ledger.record_usage([event("e1")], "a")
    answer = books.ledger.record_usage([event("e1", quantity=2)], "a", park=park)
    assert rejected(answer) == [("e1", "idempotency_conflict", park)]
    assert books.value("select count(*) from billing.parked_usage where code = 'unknown_action'") == 1
    books.price("new", credits=3 * CREDIT)
    assert repriced(books) == (1, 0)
    assert books.balance() == 97


@pytest.mark.parametrize("park", [False, True], ids=["by HTTP", "by queue"])
@pytest.mark.parametrize("event_id", [None, "", "x" * 256])
def test_an_event_that_has_no_id_cannot_wait_and_nobody_says_it_does(
    books: Books, event_id: str | None, park: bool
) -> None:
    answer = books.ledger.record_usage([event(event_id)], "a", park=park)  # type: ignore[arg-type]
    assert rejected(answer) == [(event_id, "invalid_value", park)]
    assert len(waiting(books)) == park


def test_the_ids_of_accounts_are_their_own(books: Books) -> None:
    books.ledger.record_usage([event("e1", account_id="a"), event("e1", account_id="b", quantity=2)])
    books.price("new", credits=CREDIT)
    assert repriced(books) == (2, 0)
    assert (books.balance("a"), books.balance("b")) == (99, 98)


def test_it_is_booked_when_its_card_exists_with_its_own_time_and_price(books: Books) -> None:
    then = datetime.now(UTC) - timedelta(days=2)
    books.limit(50, "month")
    books.ledger.record_usage(
        [event("e1", occurred_at=then.isoformat(), agent="scout"), event("e2", "other")], "a"
    )
    books.price("new", credits=5 * CREDIT)
    books.price("new", credits=6 * CREDIT)
    assert repriced(books) == (1, 0)
    row = books.query("select credits, occurred_at from billing.credit_usage")[0]
    assert row == {"credits": 5 * CREDIT, "occurred_at": then}
    assert books.balance() == 95
    assert waiting(books) == ["e2"]
    with books.nothing_moves():
        assert repriced(books) == (0, 0)
        assert (
            books.ledger.record_usage([event("e1", occurred_at=then.isoformat(), agent="scout")], "a")[
                "duplicates"
            ]
            == 1
        )
    books.assert_sound()


def test_what_happened_before_the_card_that_fits_began_is_priced_by_it(books: Books) -> None:
    """An account's own card begins when it is set, and what it was set for has happened before."""
    then = datetime.now(UTC) - timedelta(days=2)
    books.price("new", model="old", credits=CREDIT)
    late = event("e1", occurred_at=then.isoformat(), dimensions={"model": "m"})
    books.ledger.record_usage([late], "a")
    books.price("new", account_id="a", model="m", credits=3 * CREDIT)
    assert repriced(books) == (1, 0)
    row = books.query("select credits, occurred_at from billing.credit_usage")[0]
    assert row == {"credits": 3 * CREDIT, "occurred_at": then}
    assert books.ledger.record_usage([late], "a")["duplicates"] == 1
    books.assert_sound()


def test_what_names_no_time_happened_when_it_came(books: Books) -> None:
    books.ledger.record_usage([event("e1")], "a")
    books.age("3 days")
    books.price("new", credits=CREDIT)
    assert repriced(books) == (1, 0)
    age = books.value("select now() - occurred_at from billing.credit_usage")
    assert timedelta(days=3) <= age < timedelta(days=3, minutes=5)
    assert books.ledger.record_usage([event("e1")], "a")["duplicates"] == 1
    books.assert_sound()


def test_what_still_has_no_price_is_tried_once_a_card_and_not_for_ever(books: Books) -> None:
    books.ledger.record_usage([event("e1", dimensions={"model": "m", "tokens": 5})], "a")
    with books.nothing_moves():
        assert repriced(books) == (0, 0)
    books.price("new", model="x", credits=CREDIT)
    assert repriced(books) == (0, 1)
    parked = books.ledger.list_parked_usage(10, None)["data"][0]
    assert (parked["code"], parked["tried_at"] is not None) == ("unknown_model", True)
    with books.nothing_moves():
        assert repriced(books) == (0, 0)
    books.price("new", model="m", rates={"seconds": {"credits": 1, "per": 1}})
    assert repriced(books) == (0, 1)
    assert books.ledger.list_parked_usage(10, None)["data"][0]["code"] == "unknown_dimension"
    books.price("new", model="m", rates={"tokens": {"credits": CREDIT, "per": 5}})
    assert repriced(books) == (1, 0)
    assert (books.balance(), waiting(books)) == (99, [])
    books.assert_sound()


def test_a_card_of_the_account_frees_its_own_events_only(books: Books) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    books.ledger.record_usage([event("e1", account_id=name, occurred_at=soon) for name in ("a", "b")])
    books.price("new", account_id="a", credits=CREDIT)
    assert repriced(books) == (1, 1)
    assert (books.balance("a"), books.balance("b")) == (99, 100)
    assert waiting(books) == ["e1"]
    books.price("new", credits=2 * CREDIT)
    assert repriced(books) == (1, 0)
    assert books.balance("b") == 98
    books.assert_sound()


def test_an_event_that_was_booked_meanwhile_is_not_booked_again(books: Books) -> None:
    books.ledger.record_usage([event("e1"), event("e2")], "a")
    books.price("new", credits=CREDIT)
    books.ledger.record_usage([event("e1")], "a")
    books.ledger.spend_credits("a", {"id": "e2", "amount": 7 * CREDIT})
    assert repriced(books) == (0, 1)
    assert books.balance() == 92
    left = books.ledger.list_parked_usage(10, None)["data"]
    assert [(row["event_id"], row["code"]) for row in left] == [("e2", "idempotency_conflict")]
    books.assert_sound()


def test_repricing_from_many_workers_at_once_books_each_event_once(books: Books) -> None:
    books.ledger.record_usage([event(f"e{n}", account_id=name) for n in range(40) for name in ("a", "b")])
    books.price("new", credits=CREDIT)
    answers = books.together(8, lambda _: [books.ledger.reprice_usage(7)["booked"] for _ in range(6)])
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert repriced(books)[1] == 0
    assert (books.balance("a"), books.balance("b")) == (60, 60)
    assert waiting(books) == []
    books.assert_sound()


def test_one_odd_event_does_not_keep_the_others_from_their_price(books: Books) -> None:
    odd = [
        event("e1", dimensions="tokens"),
        event("e2", dimensions={"tokens": "5"}),
        event("e3", quantity=10**15),
    ]
    books.ledger.record_usage([*odd, event("e4", dimensions={"tokens": 5})], "a")
    books.price("new", credits=CREDIT, rates={"tokens": {"credits": CREDIT, "per": 5}})
    assert repriced(books) == (1, 3)
    assert books.balance() == 98
    assert {row["code"] for row in books.ledger.list_parked_usage(10, None)["data"]} == {"invalid_value"}


def test_an_operator_discards_what_is_never_booked(books: Books) -> None:
    books.ledger.record_usage([event("e1"), event("e2")], "a")
    first = books.ledger.list_parked_usage(1, None)
    assert len(first["data"]) == 1
    rest = books.ledger.list_parked_usage(5, first["next_cursor"])["data"]
    parked_id = rest[0]["id"]
    for reason in ("", "x" * 501):
        with books.refused("invalid_value"):
            books.ledger.discard_parked_usage(parked_id, reason, "operator")
    books.ledger.discard_parked_usage(parked_id, "a test of the platform", "operator")
    with books.refused("not_found"):
        books.ledger.discard_parked_usage(parked_id, "again", "operator")
    books.price("new", credits=CREDIT)
    assert repriced(books) == (1, 0)
    assert books.balance() == 99
    audit = books.query("select subject, details from billing.audit_log where action = 'usage.discarded'")
    assert [(row["subject"], row["details"]["reason"]) for row in audit] == [("e1", "a test of the platform")]


def test_operators_are_told_once_a_day_of_each_price_that_is_missing(books: Books) -> None:
    topic = "operations.usage_unpriced"
    books.price("llm", model="m", credits=CREDIT)
    for number in range(3):
        books.ledger.record_usage([event(f"e{number}", account_id=name) for name in ("a", "b")])
        books.ledger.record_usage([event(f"m{number}", "llm", dimensions={"model": "x"})], "a")
    assert books.notices(topic) == 2
    payloads = [
        row["payload"]
        for row in books.query("select payload from billing.outbox where topic = %s order by id", topic)
    ]
    assert [(p["code"], p["action"], p["model"]) for p in payloads] == [
        ("unknown_action", "new", None),
        ("unknown_model", "llm", "x"),
    ]
    books.query("update billing.outbox set dedupe_key = 'yesterday:' || id")
    books.ledger.record_usage([event("e9")], "a")
    assert books.notices(topic) == 3
