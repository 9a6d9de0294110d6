"""An account's name and mail address change; the old address is told, and nothing of it stays behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import Books

OLD, NEW = "old@example.com", "new@example.com"
TOPIC = "account.email_changed"


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.ledger.open_account("a", "Ada", OLD, None, 0, "test")


def edit(books: Books, name: str | None = None, email: str | None = None) -> tuple[str, str | None]:
    edited = books.ledger.edit_account("a", name, email, "ada")
    return edited["name"], edited["email"]


def audit(books: Books) -> list[Any]:
    rows = books.query("select details from billing.audit_log where action = 'account.edited' order by id")
    return [row["details"] for row in rows]


def mailed(books: Books) -> tuple[int, Any]:
    """The delivery of the newest notice, claimed."""
    books.ledger.plan_notices(10, [], [])
    number = books.value(
        "select d.id from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id"
        " where o.topic = %s order by d.id desc limit 1",
        TOPIC,
    )
    return number, books.ledger.claim_notice(number, ["mail"])


def test_what_is_given_changes_and_the_rest_stays(books: Books) -> None:
    assert edit(books, name="Ada Ltd") == ("Ada Ltd", OLD)
    assert books.notices(TOPIC) == 0
    assert edit(books, email=NEW) == ("Ada Ltd", NEW)
    assert audit(books) == [{"changed": ["name"]}, {"changed": ["email"]}]
    with books.nothing_moves():
        edit(books, "Ada Ltd", NEW)
        edit(books)


def test_the_old_address_is_told_each_time_and_then_forgotten(books: Books) -> None:
    edit(books, email=NEW)
    number, claimed = mailed(books)
    assert claimed["email"] == OLD
    books.ledger.finish_notice(number, "sent", None)
    assert books.value("select payload from billing.outbox where topic = %s", TOPIC) == {}
    edit(books, email=OLD)
    number, claimed = mailed(books)
    assert claimed["email"] == NEW
    books.ledger.finish_notice(number, "pending", "timeout")
    assert books.value("select payload from billing.outbox order by id desc limit 1") == {"to": NEW}


def test_another_spelling_is_no_other_address_and_a_first_one_tells_nobody(books: Books) -> None:
    edit(books, email=OLD.upper())
    books.ledger.open_account("b", "Bob", None, None, 0, "test")
    books.ledger.edit_account("b", None, NEW, "bob")
    assert books.notices(TOPIC) == 0


def test_an_erased_account_tells_nobody(books: Books) -> None:
    edit(books, email=NEW)
    books.ledger.erase_account("a", "operator")
    assert books.value("select count(*) from billing.outbox where payload::text ~ '@'") == 0
    assert mailed(books)[1]["email"] is None


def test_what_no_account_may_be_is_refused(books: Books) -> None:
    for name, email in (("", None), ("x" * 201, None), (None, "x")):
        with books.nothing_moves(), books.refused("invalid_value"):
            edit(books, name, email)
    with books.refused("unknown_account"):
        books.ledger.edit_account("nobody", "x", None, "ada")
