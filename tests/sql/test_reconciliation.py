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
