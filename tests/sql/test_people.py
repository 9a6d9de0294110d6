"""What is kept of people beside their ids: the mail address they sign in with, as long as they are members."""

from __future__ import annotations

import uuid

import pytest

from tests.sql.books import Books

ADA, BOB = str(uuid.uuid4()), str(uuid.uuid4())
HASH = b"h" * 32


@pytest.fixture(autouse=True)
def accounts(books: Books) -> None:
    for account in ("a", "b"):
        books.ledger.open_account(account, account.upper(), None, BOB, 0, "test")
        books.ledger.set_member(account, ADA, "member", "test")


def sign_in(books: Books, email: str | None, account: str | None = None, session: bytes = HASH) -> None:
    books.ledger.open_session(session, ADA, email, account, None, None)


def address(books: Books, account: str = "a") -> str | None:
    return next(m["email"] for m in books.ledger.list_members(account) if m["user_id"] == ADA)


def kept(books: Books) -> int:
    """How many rows of members know an address."""
    return int(books.value("select count(*) from billing.account_members where email is not null"))


def test_an_address_is_known_to_accounts_that_the_person_has_opened_and_to_no_other(books: Books) -> None:
    sign_in(books, "ada@example.com")
    assert (address(books, "a"), address(books, "b")) == (None, None)
    books.ledger.switch_session(HASH, "a")
    assert (address(books, "a"), address(books, "b")) == ("ada@example.com", None)
    sign_in(books, "new@example.com", session=b"i" * 32)
    assert (address(books, "a"), address(books, "b")) == ("new@example.com", None)


def test_a_sign_in_without_an_address_forgets_none(books: Books) -> None:
    sign_in(books, "ada@example.com", "a")
    sign_in(books, None, "a", b"i" * 32)
    books.ledger.switch_session(b"i" * 32, "a")
    assert address(books) == "ada@example.com"


def test_it_goes_with_the_membership(books: Books) -> None:
    sign_in(books, "ada@example.com", "a")
    books.ledger.switch_session(HASH, "b")
    assert kept(books) == 2
    books.ledger.remove_member("a", ADA, "test")
    assert kept(books) == 1
    books.ledger.set_member("a", ADA, "member", "test")
    assert address(books) is None
    books.ledger.erase_account("b", "operator")
    assert kept(books) == 0


def test_a_change_of_role_keeps_it(books: Books) -> None:
    sign_in(books, "ada@example.com", "a")
    books.ledger.set_member("a", ADA, "owner", "test")
    assert address(books) == "ada@example.com"


def test_a_session_begins_in_the_account_that_was_in_view_last(books: Books) -> None:
    def begins(session: bytes) -> str | None:
        sign_in(books, None, session=session)
        found = books.ledger.use_session(session)
        assert found is not None
        return found["account_id"]

    assert begins(b"1" * 32) is None
    for account in ("b", "a", "b"):
        books.ledger.switch_session(b"1" * 32, account)
    assert begins(b"2" * 32) == "b"
    books.ledger.remove_member("b", ADA, "test")
    assert begins(b"3" * 32) == "a"
