"""billing.record_usage: what already happened is booked, each event once."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def event(event_id: str, credits: float = 1, **more: Any) -> dict[str, Any]:
    return {"id": event_id, "amount": int(credits * CREDIT)} | more


def counts(answer: Any) -> tuple[int, int, list[tuple[int, str]]]:
    return answer["accepted"], answer["duplicates"], [(r["index"], r["code"]) for r in answer["rejected"]]


def test_a_batch_is_one_entry_an_account_and_one_usage_row_an_event(books: Books) -> None:
    answer = books.ledger.record_usage(
        [event("e1", 2), event("e2", 3), {"id": "e3", "action": "research"}], "a"
    )
    assert counts(answer) == (3, 0, [])
    assert answer["accounts"] == [{"account_id": "a", "available": 90 * CREDIT, "status": "active"}]
    entry = books.query("select * from billing.credit_transactions where kind = 'usage'")
    assert [(row["amount"], row["source_kind"]) for row in entry] == [(-10 * CREDIT, "usage_batch")]
    assert books.value("select count(*) from billing.credit_usage") == 3
    books.assert_sound()


def test_an_event_that_stands_twice_in_a_batch_is_booked_once(books: Books) -> None:
    assert counts(books.ledger.record_usage([event("e1"), event("e2"), event("e1"), event("e1")], "a")) == (
        2,
        2,
        [],
    )
    assert books.balance() == 98
    books.assert_sound()


def test_a_batch_that_is_sent_again_moves_nothing(books: Books) -> None:
    batch = [event(f"e{number}") for number in range(5)]
    books.ledger.record_usage(batch, "a")
    with books.nothing_moves():
        assert counts(books.ledger.record_usage(batch, "a")) == (0, 5, [])


def test_of_overlapping_batches_each_event_is_booked_once(books: Books) -> None:
    books.ledger.record_usage([event("e1"), event("e2")], "a")
    assert counts(books.ledger.record_usage([event("e2"), event("e3")], "a")) == (1, 1, [])
    assert books.balance() == 97
    books.assert_sound()


def test_another_content_under_a_known_id_is_rejected_and_the_rest_booked(books: Books) -> None:
    books.ledger.record_usage([event("e1")], "a")
    answer = books.ledger.record_usage([event("e2"), event("e1", 2), event("e3"), event("e3", 5)], "a")
    assert counts(answer) == (2, 0, [(1, "idempotency_conflict"), (3, "idempotency_conflict")])
    assert books.balance() == 97
    books.assert_sound()


def test_the_fields_may_come_in_any_order_and_the_account_from_either_place(books: Books) -> None:
    books.ledger.record_usage([{"id": "e1", "amount": CREDIT, "agent": "x"}], "a")
    with books.nothing_moves():
        again = books.ledger.record_usage([{"agent": "x", "account_id": "a", "amount": CREDIT, "id": "e1"}])
    assert counts(again) == (0, 1, [])


def test_a_spend_and_a_usage_message_of_one_event_are_one_debit(books: Books) -> None:
    books.spend(5, event_id="e1")
    with books.nothing_moves():
        assert counts(books.ledger.record_usage([event("e1", 5)], "a")) == (0, 1, [])
        assert books.spend(5, event_id="e1")["replayed"]


BAD = [
    ({"id": "e2", "amount": 1, "account_id": "nobody"}, "unknown_account"),
    ({"id": "e2", "amount": 1}, "unknown_account"),
    ({"id": "e2", "action": "unheard of", "account_id": "a"}, "unknown_action"),
    ({"id": "e2", "account_id": "a"}, "unknown_action"),
    ({"amount": 1, "account_id": "a"}, "invalid_value"),
    ({"id": "", "amount": 1, "account_id": "a"}, "invalid_value"),
    ({"id": "x" * 256, "amount": 1, "account_id": "a"}, "invalid_value"),
    ({"id": "e2", "amount": 0, "account_id": "a"}, "invalid_value"),
    ({"id": "e2", "amount": -5, "account_id": "a"}, "invalid_value"),
    ({"id": "e2", "amount": 10**15 + 1, "account_id": "a"}, "invalid_value"),
    ({"id": "e2", "amount": 10**30, "account_id": "a"}, "invalid_value"),
    ({"id": "e2", "action": "message", "quantity": 0, "account_id": "a"}, "invalid_value"),
    ({"id": "e2", "action": "message", "quantity": 10**15, "account_id": "a"}, "invalid_value"),
]


@pytest.mark.parametrize(("bad", "code"), BAD)
def test_what_cannot_be_booked_is_rejected_by_its_place_and_its_neighbours_are_booked(
    books: Books, bad: dict[str, Any], code: str
) -> None:
    answer = books.ledger.record_usage([event("e1", account_id="a"), bad, event("e3", account_id="a")])
    assert counts(answer) == (2, 0, [(1, code)])
    assert books.balance() == 98
    assert books.value("select count(*) from billing.parked_usage") == (code == "unknown_action")
    books.assert_sound()


@pytest.mark.parametrize(("bad", "code"), BAD)
def test_what_comes_by_queue_and_cannot_be_booked_is_parked(
    books: Books, bad: dict[str, Any], code: str
) -> None:
    books.ledger.record_usage([event("e1", account_id="a"), bad], park=True)
    parked = books.query("select account_id, event_id, code, event from billing.parked_usage")
    assert parked == [
        {"account_id": bad.get("account_id"), "event_id": bad.get("id"), "code": code, "event": bad}
    ]
    assert books.ledger.operations_summary()["usage_parked"] == 1


def test_a_batch_of_nothing_but_rejects_moves_nothing(books: Books) -> None:
    with books.nothing_moves():
        answer = books.ledger.record_usage([bad for bad, _ in BAD if bad.get("id") != "e2"] + [BAD[0][0]])
        assert answer["accepted"] == 0


def test_events_are_booked_in_the_order_of_the_batch(books: Books) -> None:
    books.open("b", 100)
    names = [f"e{number}" for number in range(60, 0, -1)]
    batch = [event(name, account_id="ab"[number % 7 == 0]) for number, name in enumerate(names)]
    books.ledger.record_usage(batch)
    assert [
        row["event_id"] for row in books.query("select event_id from billing.credit_usage order by id")
    ] == names


def test_duplicates_are_not_parked(books: Books) -> None:
    books.ledger.record_usage([event("e1"), event("e1")], "a", park=True)
    assert books.value("select count(*) from billing.parked_usage") == 0


def test_an_empty_batch_is_accepted_and_moves_nothing(books: Books) -> None:
    with books.nothing_moves():
        assert counts(books.ledger.record_usage([], "a")) == (0, 0, [])


def test_usage_may_take_the_balance_below_zero(books: Books) -> None:
    answer = books.use(130)
    assert answer["accounts"][0]["available"] == 0
    assert books.balance() == -30
    assert books.ledger.get_balance("a")["debt"] == 30 * CREDIT
    assert books.lots() == {"a": 0}
    with books.refused("insufficient_credits"):
        books.spend(0.000001)
    books.assert_sound()


def test_usage_of_a_paused_account_is_booked(books: Books) -> None:
    books.query("update billing.credit_balances set status = 'paused'")
    assert books.use(1)["accepted"] == 1


def test_a_batch_over_many_accounts_debits_each_by_its_own(books: Books) -> None:
    names = [books.open(f"acct{number}", number) for number in range(1, 31)]
    batch = [event(f"e{number}", account_id=name) for name in names for number in range(3)]
    random.Random(7).shuffle(batch)
    answer = books.ledger.record_usage(batch)
    assert counts(answer) == (90, 0, [])
    assert [row["account_id"] for row in answer["accounts"]] == sorted(names)
    assert [books.balance(name) for name in names] == [number - 3 for number in range(1, 31)]
    books.assert_sound()


def test_a_thousand_events_fit_into_one_call(books: Books) -> None:
    batch = [event(f"e{number}", 0.2) for number in range(1000)]
    assert counts(books.ledger.record_usage(batch, "a")) == (1000, 0, [])
    assert books.balance() == -100
    books.assert_sound()


def test_a_batch_that_reaches_the_threshold_asks_for_the_check_once(books: Books) -> None:
    books.enable()
    books.open("b", 100)
    assert books.use(1)["topup_due"] == []
    assert books.ledger.record_usage([event("e1", 89, account_id="a"), event("e1", 99, account_id="b")])[
        "topup_due"
    ] == ["a"]
    assert books.use(1)["topup_due"] == []


def test_overlapping_batches_over_the_same_accounts_at_once_book_each_event_once(books: Books) -> None:
    """In any order, from many connections: no deadlock reaches the caller, nothing is counted twice."""
    names = [books.open(f"acct{number}", 10) for number in range(8)]
    events = [event(f"e{number}", 0.5, account_id=name) for name in names for number in range(20)]
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    before = books.value(deadlocks)

    def work(seed: int) -> int:
        chosen = random.Random(seed)
        mine = chosen.sample(events, 80)
        return sum(books.ledger.record_usage(mine[at : at + 20])["accepted"] for at in range(0, 80, 20))

    answers = books.together(12, work)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    rest = books.ledger.record_usage(events)["accepted"]
    assert sum(answer for answer in answers if isinstance(answer, int)) + rest == 160
    assert [books.balance(name) for name in names] == [0] * 8
    books.query("select pg_stat_force_next_flush()")
    assert books.value(deadlocks) == before
    books.assert_sound()


def test_batches_mixed_with_spends_of_the_same_events_book_each_once(books: Books) -> None:
    def work(number: int) -> object:
        for at in range(10):
            if number % 2:
                books.ledger.record_usage([event(f"e{at + k}") for k in range(3)], "a")
            else:
                books.spend(1, event_id=f"e{11 - at}")
        return None

    answers = books.together(8, work)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert books.balance() == 88
    assert books.value("select count(*) from billing.credit_usage") == 12
    books.assert_sound()
