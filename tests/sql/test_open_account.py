"""billing.open_account and what comes with an account."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books

OWNER = "7f2c1b52-6f3c-4f6e-9a53-0a2a5d8f6f10"


def opened(books: Books, name: str = "First") -> dict[str, object]:
    return dict(books.ledger.open_account("a", name, "a@example.com", OWNER, 50 * CREDIT, "test"))


def test_an_account_opens_with_its_balance_its_owner_and_its_signup_credits(books: Books) -> None:
    answer = opened(books)
    assert (answer["account_id"], answer["name"], answer["created"]) == ("a", "First", True)
    assert books.balance() == 50
    lot = books.query("select kind, source, paid_amount, granted from billing.credit_lots")
    assert lot == [{"kind": "signup", "source": "account:a", "paid_amount": 0, "granted": 50 * CREDIT}]
    members = books.query("select user_id::text, role from billing.account_members")
    assert members == [{"user_id": OWNER, "role": "owner"}]
    assert books.value("select action from billing.audit_log") == "account.opened"
    books.assert_sound()


def test_opening_a_known_id_answers_the_account_as_it_is_and_grants_nothing(books: Books) -> None:
    opened(books)
    books.spend(10)
    with books.nothing_moves():
        again = opened(books, "Another name")
    assert (again["name"], again["created"]) == ("First", False)


def test_twenty_openings_at_once_make_one_account_and_one_grant(books: Books) -> None:
    answers = books.together(20, lambda _: opened(books))
    assert sorted(answer["created"] for answer in answers if isinstance(answer, dict)) == [False] * 19 + [
        True
    ]
    assert books.balance() == 50
    assert books.value("select count(*) from billing.credit_transactions") == 1
    books.assert_sound()


def test_91_an_owner_gets_signup_credits_for_one_account_only(books: Books) -> None:
    opened(books)
    second = books.ledger.open_account("b", "Second", None, OWNER, 50 * CREDIT, "test")
    assert (second["created"], books.balance("b"), books.lots("b")) == (True, 0, {})
    books.ledger.open_account("c", "Somebody else's", None, OWNER.replace("7", "8"), 50 * CREDIT, "test")
    books.ledger.open_account("d", "Nobody's", None, None, 50 * CREDIT, "test")
    assert (books.balance("c"), books.balance("d")) == (50, 50)
    books.assert_sound()


def test_91_twenty_accounts_of_one_owner_at_once_share_one_grant(books: Books) -> None:
    books.together(20, lambda n: books.ledger.open_account(f"a{n}", "Farm", None, OWNER, 50 * CREDIT, "test"))
    assert books.value("select count(*) from billing.credit_lots") == 1
    assert books.value("select count(*) from billing.accounts") == 20


def test_without_signup_credits_nothing_is_granted(books: Books) -> None:
    books.open("a")
    assert books.balance() == 0
    assert books.lots() == {}


@pytest.mark.parametrize("account", ["", " a", "a/b", "-a", "x" * 101, "a\nb", "ä"])
def test_an_id_that_cannot_stand_in_a_url_is_refused(books: Books, account: str) -> None:
    with books.refused("invalid_value"):
        books.ledger.open_account(account, "Name", None, None, 0, "test")


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_name_that_nobody_can_read_is_refused(books: Books, name: str) -> None:
    with books.refused("invalid_value"):
        books.ledger.open_account("a", name, None, None, 0, "test")


def test_text_that_the_database_cannot_hold_is_refused(books: Books) -> None:
    for name in ("nul \0 here", "half \ud800 here"):
        with books.refused("invalid_value"):
            books.ledger.open_account("a", name, None, None, 0, "test")


def test_an_unknown_account_is_refused_by_every_reader(books: Books) -> None:
    ledger = books.ledger
    for read in (ledger.get_account, ledger.get_balance, ledger.get_auto_topup):
        with books.refused("unknown_account"):
            read("nobody")
    for listing in (ledger.list_transactions, ledger.list_usage, ledger.list_lots, ledger.list_payments):
        with books.refused("unknown_account"):
            listing("nobody", 10, None)


def test_keys_are_found_by_their_hash_until_they_are_revoked(books: Books) -> None:
    books.open("a")
    for number, account in enumerate((None, "a")):
        key = books.ledger.create_api_key(
            f"k{number}", f"n{number}", f"rk_{number}", bytes([number] * 32), ["spend"], account
        )
        assert key["account_id"] == account
    found = books.ledger.find_api_key(bytes([1] * 32))
    assert found is not None
    assert found["id"] == "k1"
    assert "hash" not in found
    assert [key["id"] for key in books.ledger.revoke_api_key("rk_1")] == ["k1"]
    assert books.ledger.find_api_key(bytes([1] * 32)) is None
    with books.refused("not_found"):
        books.ledger.revoke_api_key("rk_1")
    with books.refused("unknown_account"):
        books.ledger.create_api_key("k9", "n", "rk_9", bytes(32), ["spend"], "nobody")
    with books.refused("invalid_value"):
        books.ledger.create_api_key("k9", "n", "rk_9", bytes([9] * 32), ["everything"], None)
