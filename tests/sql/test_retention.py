"""What is kept only for a while goes, in chunks; what may still be needed stays."""

from __future__ import annotations

import pytest

from tests.sql.books import Books
from tests.sql.test_inbox import receive

PRINT = "00000000-0000-0000-0000-000000000001"


def request(books: Books, key: str, *, finished: bool = True) -> None:
    books.ledger.begin_request("me", key, PRINT)
    if finished:
        books.ledger.finish_request("me", key, 201, {"id": key})


def keys(books: Books) -> list[str]:
    return [row["key"] for row in books.query("select key from billing.idempotent_requests order by key")]


def test_finished_requests_go_after_seven_days_and_others_stay(books: Books) -> None:
    request(books, "old")
    request(books, "in flight", finished=False)
    books.age("2 days")
    request(books, "young")
    books.age("5 days 1 minute")
    assert books.ledger.begin_request("me", "in flight", PRINT)["state"] == "new"  # taken over, and in flight
    assert books.ledger.prune_requests(10) == 1
    assert keys(books) == ["in flight", "young"]
    assert books.ledger.begin_request("me", "old", PRINT)["state"] == "new"
    assert books.ledger.begin_request("me", "young", PRINT)["state"] == "done"


def test_a_request_whose_process_died_is_pruned(books: Books) -> None:
    request(books, "died", finished=False)
    books.age("8 days")
    assert books.ledger.prune_requests(10) == 1
    assert keys(books) == []


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("subject", ["pay_1", "adj_1", "acc_1", "subc_1"])
def test_a_key_stays_bound_for_as_long_as_what_was_made_under_it(
    books: Books, subject: str, *, finished: bool
) -> None:
    books.open("acc_1", 10)
    books.ledger.open_purchase("pay_1", "acc_1", "credits_100", 1, "cus_1")
    books.ledger.open_subscription("subc_1", "acc_1", "starter", "cus_1")
    books.ledger.begin_request("me", "k", PRINT, subject)
    if finished:
        books.ledger.finish_request("me", "k", 201, {"id": subject})
    books.age("400 days")
    assert books.ledger.prune_requests(10) == 1
    assert books.ledger.prune_requests(10) == 0
    assert keys(books) == ["k"]
    assert books.value("select body from billing.idempotent_requests") is None
    assert books.ledger.begin_request("me", "k", PRINT, subject) == {"state": "expired"}
    other = "00000000-0000-4000-8000-0000000000ff"
    assert books.ledger.begin_request("me", "k", other, subject) == {"state": "conflict"}


def test_a_key_under_which_nothing_was_made_is_free_again(books: Books) -> None:
    books.ledger.begin_request("me", "k", PRINT, "pay_never")
    books.ledger.abandon_request("me", "k", keep=True)
    books.age("8 days")
    assert books.ledger.prune_requests(10) == 1
    assert keys(books) == []


def test_an_answer_that_is_over_is_refused_or_made_again(books: Books) -> None:
    for renews, expected in ((False, {"state": "expired"}), (True, {"state": "new", "round": 2})):
        key = f"k{renews}"
        books.ledger.begin_request("me", key, PRINT)
        books.ledger.finish_request("me", key, 201, {}, 3600)
        books.age("59 minutes")
        assert books.ledger.begin_request("me", key, PRINT, renews=renews)["state"] == "done"
        books.age("61 seconds")
        assert books.ledger.begin_request("me", key, PRINT, renews=renews) == expected
    assert books.ledger.begin_request("me", "kTrue", PRINT, renews=True) == {"state": "in_flight"}


def test_a_request_that_is_looked_at_is_left_to_the_next_day(books: Books) -> None:
    request(books, "old")
    books.age("8 days")
    with books.database.connect() as other, other.transaction():
        other.execute("select from billing.idempotent_requests for update")
        assert books.ledger.prune_requests(10) == 0
    assert books.ledger.prune_requests(10) == 1


def test_chunks_are_bounded(books: Books) -> None:
    for number in range(5):
        request(books, f"k{number}")
    books.age("8 days")
    assert [books.ledger.prune_requests(2) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize(
    ("state", "kept"), [("done", False), ("ignored", False), ("parked", True), (None, True)]
)
def test_payloads_of_finished_events_go_and_their_ids_stay(
    books: Books, state: str | None, kept: bool
) -> None:
    receive(books)
    if state is not None:
        books.ledger.finish_stripe_event("evt_1", state, None)
    books.age("89 days")
    assert books.ledger.prune_stripe_events(90, 10) == 0
    books.age("2 days")
    assert books.ledger.prune_stripe_events(90, 10) == (0 if kept else 1)
    assert books.value("select payload is not null from billing.stripe_events") == kept
    with books.nothing_moves():
        assert receive(books)["fresh"] is False
        assert books.ledger.prune_stripe_events(90, 10) == 0


def test_an_event_without_a_payload_is_not_replayed(books: Books) -> None:
    receive(books)
    books.ledger.finish_stripe_event("evt_1", "done", None)
    books.age("91 days")
    books.ledger.prune_stripe_events(90, 10)
    with books.refused("state_conflict"):
        books.ledger.replay_stripe_event("evt_1", "dana")
