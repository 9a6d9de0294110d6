"""Runs and differences of reconciliation, as rows."""

from __future__ import annotations

import threading

import pytest

from shared.errors import Refused
from tests.sql.books import Books


def test_one_of_many_schedulers_opens_the_periodic_run(books: Books) -> None:
    answers: list[str] = []

    def ask(number: int) -> None:
        answers.append(books.ledger.open_reconciliation(f"rec_{number}", None, None)["id"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert len(books.ledger.list_reconciliations(10)) == 1


def test_a_run_is_leased_to_one_worker(books: Books) -> None:
    books.ledger.open_reconciliation("rec_1", "2026-01-01T00:00:00Z", None)
    assert books.ledger.claim_reconciliation("rec_1") is not None
    assert books.ledger.claim_reconciliation("rec_1") is None
    assert books.ledger.due_work(10)["reconciliations"] == []
    saved = books.ledger.save_reconciliation("rec_1", "payments", "pi_9", {"payments": 100}, release=True)
    assert saved is not None
    assert books.ledger.due_work(10)["reconciliations"] == ["rec_1"]
    again = books.ledger.claim_reconciliation("rec_1")
    assert again is not None
    assert (again["step"], again["cursor"], again["counts"]) == ("payments", "pi_9", {"payments": 100})
    books.ledger.save_reconciliation("rec_1", "refunds", None, {"payments": 7, "refunds": 1}, release=False)
    ended = books.ledger.finish_reconciliation("rec_1", "done", None)
    assert ended["counts"] == {"payments": 107, "refunds": 1}
    assert books.ledger.claim_reconciliation("rec_1") is None
    assert books.ledger.save_reconciliation("rec_1", "refunds", None, {}, release=False) is None


def test_a_run_that_never_gets_further_fails(books: Books) -> None:
    books.ledger.open_reconciliation("rec_1", "2026-01-01T00:00:00Z", None)
    for _ in range(9):
        books.query("update billing.reconciliations set lease_until = now()")
        books.ledger.claim_reconciliation("rec_1")
    run = books.ledger.get_reconciliation("rec_1")
    assert run is not None
    assert (run["state"], run["reason"]) == ("failed", "too_many_attempts")


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2999-01-01T00:00:00Z", None),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
    ],
)
def test_a_window_that_is_none_is_refused(books: Books, since: str, until: str | None) -> None:
    with pytest.raises(Refused) as refused:
        books.ledger.open_reconciliation("rec_1", since, until)
    assert refused.value.code == "invalid_value"
    assert books.ledger.list_reconciliations(10) == []


def test_a_difference_is_kept_once_and_again_after_it_was_settled(books: Books) -> None:
    books.ledger.open_reconciliation("rec_1", "2026-01-01T00:00:00Z", None)
    books.ledger.open_account("acme", "Acme", None, None, 0, "test")

    def note() -> bool:
        return books.ledger.record_difference("rec_1", "payments", "pi_1", "acme", "not_paid", {})

    assert [note(), note()] == [True, False]
    row = books.ledger.list_differences(10, all_of_them=False)[0]
    with pytest.raises(Refused):
        books.ledger.dismiss_difference(row["id"], "  ", "me")
    assert books.ledger.dismiss_difference(row["id"], "refunded", "me")["resolution"] == "refunded"
    assert books.ledger.dismiss_difference(row["id"], "another note", "me")["resolution"] == "refunded"
    assert books.ledger.list_differences(10, all_of_them=False) == []
    assert note()
    assert len(books.ledger.list_differences(10, all_of_them=True)) == 2
    with pytest.raises(Refused):
        books.ledger.dismiss_difference(0, "x", "me")


def finished(books: Books, run_id: str, **changes: object) -> None:
    """A periodic run that ended eight hours ago."""
    row = {
        "kind": "nightly",
        "depth": "open",
        "state": "done",
        "missing": "[]",
        "since": "9 days",
        "ago": "8 hours",
    }
    row |= changes
    books.query(
        "insert into billing.reconciliations"
        " (id, kind, depth, state, not_compared, since, until, step, created_at, finished_at)"
        " values (%s, %s, %s, %s, %s, now() - %s::interval, now() - %s::interval, 'end',"
        " now() - %s::interval, now() - %s::interval)",
        *(run_id, row["kind"], row["depth"], row["state"], row["missing"], row["since"]),
        *(row["ago"], row["ago"], row["ago"]),
    )


def unfollowed(books: Books) -> list[str]:
    return [
        row["run_id"] for row in books.query("select run_id from billing.check_reconciliation order by 1")
    ]


MISSING = '[{"what": "refunds", "reason": "unreadable"}]'


@pytest.mark.parametrize(
    ("second", "violations"),
    [
        ({}, []),
        ({"missing": MISSING}, ["first"]),
        ({"state": "failed"}, ["first"]),
        ({"depth": "created", "kind": "hourly"}, ["first"]),
        ({"since": "1 day"}, ["first"]),
        ({"kind": "manual", "depth": "all"}, []),
    ],
)
@pytest.mark.parametrize("first", [{"missing": MISSING}, {"state": "failed"}])
def test_a_run_that_looked_at_not_everything_is_followed_by_one_that_did(
    books: Books, first: dict[str, str], second: dict[str, str], violations: list[str]
) -> None:
    finished(books, "first", **first)
    assert unfollowed(books) == ["first"]
    finished(books, "second", **({"ago": "1 hour"} | second))
    assert unfollowed(books) == violations


def test_how_deep_a_run_looks(books: Books) -> None:
    """Once a day, by hand, and after a gap, further than what was made since."""
    ledger = books.ledger
    assert ledger.open_reconciliation("rec_1", None, None)["depth"] == "open"
    ledger.finish_reconciliation("rec_1", "done", None)
    assert ledger.open_reconciliation("rec_2", None, None)["depth"] == "created"
    ledger.finish_reconciliation("rec_2", "done", None)
    assert ledger.open_reconciliation("rec_3", "2026-01-01T00:00:00Z", None)["depth"] == "all"
    ledger.finish_reconciliation("rec_3", "done", None)
    books.query(
        "update billing.reconciliations set since = since - interval '9 days', until = until - interval '9 hours'"
        " where kind <> 'manual'"
    )
    assert ledger.open_reconciliation("rec_4", None, None)["depth"] == "all"


def test_what_was_not_compared_is_noted_once(books: Books) -> None:
    books.ledger.open_reconciliation("rec_1", "2026-01-01T00:00:00Z", None)
    for _ in range(2):
        books.ledger.note_not_compared("rec_1", "refunds", "no permission")
    books.ledger.note_not_compared("rec_1", "events", "too old")
    run = books.ledger.get_reconciliation("rec_1")
    assert run is not None
    assert run["not_compared"] == [
        {"what": "refunds", "reason": "no permission"},
        {"what": "events", "reason": "too old"},
    ]
