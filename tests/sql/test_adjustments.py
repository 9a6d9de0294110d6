"""Large adjustments: two operators, one booking, whatever comes twice or at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books

BY, OTHER = "api_key:1", "operator:2"


def ask(books: Books, credits: int = 500, name: str = "adj_1", by: str = BY) -> None:
    books.ledger.request_adjustment(name, "acme", credits * CREDIT, "wrong price", by, "dana")


def decide(books: Books, by: str = OTHER, *, approve: bool = True, account: str | None = None) -> str:
    return books.ledger.decide_adjustment("adj_1", account, "seen", by, "kim", approve=approve)["state"]


def audit(books: Books) -> list[tuple[str, str]]:
    found = books.query("select action, actor from billing.audit_log where subject = 'adj_1' order by id")
    return [(row["action"], row["actor"]) for row in found]


def test_nothing_is_booked_until_another_operator_approves(books: Books) -> None:
    books.open("acme", 10)
    ask(books)
    assert books.ledger.get_balance("acme")["balance"] == 10 * CREDIT
    with pytest.raises(Refused) as refused:
        decide(books, BY)
    assert refused.value.code == "state_conflict"
    assert books.ledger.get_balance("acme")["balance"] == 10 * CREDIT
    assert decide(books) == "approved"
    assert books.ledger.get_balance("acme")["balance"] == 510 * CREDIT
    assert decide(books) == "approved"
    assert books.ledger.get_balance("acme")["balance"] == 510 * CREDIT
    assert audit(books) == [
        ("adjustment.requested", "dana"),
        ("credits.adjusted", "dana"),
        ("adjustment.approved", "kim"),
    ]
    assert books.ledger.check_invariants() == []


def test_rejected_one_is_never_booked(books: Books) -> None:
    books.open("acme", 10)
    ask(books, -500)
    assert decide(books, approve=False) == "rejected"
    with pytest.raises(Refused) as refused:
        decide(books)
    assert refused.value.code == "state_conflict"
    assert books.ledger.get_balance("acme")["balance"] == 10 * CREDIT
    assert [row["state"] for row in books.ledger.list_adjustments("acme", None, 10)] == ["rejected"]
    assert books.ledger.list_adjustments(None, "waiting", 10) == []


def test_twenty_decisions_at_once_book_once(books: Books) -> None:
    books.open("acme", 10)
    ask(books)

    def one(number: int) -> str:
        try:
            return decide(books, f"operator:{number}", approve=number % 2 == 0)
        except Refused as refusal:
            return refusal.code

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(one, range(20)))
    (row,) = books.ledger.list_adjustments("acme", None, 10)
    assert answers == {row["state"], "state_conflict"}
    booked = 500 if row["state"] == "approved" else 0
    assert books.ledger.get_balance("acme")["balance"] == (10 + booked) * CREDIT
    assert len([action for action, _ in audit(books) if action.startswith("adjustment.")]) == 2


def test_same_request_again_is_one_and_another_under_its_id_is_refused(books: Books) -> None:
    books.open("acme", 10)
    books.open("other", 10)
    ask(books)
    ask(books)
    with pytest.raises(Refused) as refused:
        ask(books, 501)
    assert refused.value.code == "idempotency_conflict"
    assert len(books.ledger.list_adjustments(None, None, 10)) == 1
    for wrong in (0, 10**10):
        with pytest.raises(Refused) as refused:
            ask(books, wrong, "adj_2")
        assert refused.value.code == "invalid_value"
    with pytest.raises(Refused) as refused:
        books.ledger.request_adjustment("adj_3", "nobody", 1, "r", BY, "dana")
    assert refused.value.code == "unknown_account"


def test_81_one_of_another_account_is_not_found(books: Books) -> None:
    books.open("acme", 10)
    books.open("other", 10)
    ask(books)
    for account, name in (("other", "adj_1"), (None, "adj_2")):
        with pytest.raises(Refused) as refused:
            books.ledger.decide_adjustment(name, account, None, OTHER, "kim", approve=True)
        assert refused.value.code == "not_found"
    assert books.ledger.get_balance("acme")["balance"] == 10 * CREDIT
