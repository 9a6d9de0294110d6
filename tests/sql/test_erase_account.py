"""Personal data of an account are erased on request, and its books stay as they are (peers 21)."""

from __future__ import annotations

import uuid

import pytest

from tests.sql.books import CREDIT, Books

OWNER, OTHER = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.ledger.open_account("a", "Ada Lovelace", "ada@example.com", OWNER, 5 * CREDIT, "test")
    books.ledger.set_member("a", OTHER, "member", "test")
    books.enable()


def kept(books: Books) -> dict[str, object]:
    """Every table of the books."""
    tables = (
        "credit_transactions",
        "credit_lots",
        "credit_usage",
        "credit_usage_keys",
        "payments",
        "topups",
        "customers",
    )
    return {name: digest for name, digest in books.everything().items() if name in tables}


def test_name_address_members_and_sessions_go_and_every_entry_stays(books: Books) -> None:
    books.settle(books.buy())
    books.spend(3)
    books.ledger.open_session(b"h" * 32, OWNER, "ada@example.com", "a", None, None)
    books.ledger.set_notice_preference("a", "balance.low", "mail", enabled=False, actor="ada")
    before = kept(books)
    erased = books.ledger.erase_account("a", "operator")
    assert (erased["name"], erased["email"], erased["status"]) == ("Erased account", None, "active")
    assert (books.ledger.list_members("a"), books.ledger.use_session(b"h" * 32)) == ([], None)
    assert kept(books) == before
    assert (books.balance(), books.settings()["enabled"]) == (102, False)
    audit = "select actor from billing.audit_log where action = 'account.erased'"
    assert books.value(audit) == "operator"
    with books.nothing_moves():
        books.ledger.erase_account("a", "operator")
    books.assert_sound()


def test_it_is_refused_while_a_payment_is_open(books: Books) -> None:
    payment = books.buy()
    with books.refused("state_conflict"):
        books.ledger.erase_account("a", "operator")
    books.settle(payment)
    books.ledger.erase_account("a", "operator")


def test_it_is_refused_while_a_charge_is_under_way(books: Books) -> None:
    books.charge()
    with books.refused("state_conflict"):
        books.ledger.erase_account("a", "operator")


def test_an_unknown_account_is_refused(books: Books) -> None:
    with books.refused("unknown_account"):
        books.ledger.erase_account("b", "operator")


def test_nobody_is_charged_for_an_erased_account(books: Books) -> None:
    books.ledger.erase_account("a", "operator")
    books.use(100)
    assert books.ask()["reason"] == "off"


def test_a_user_who_is_deleted_at_supabase_leaves_the_books_and_the_membership_row(books: Books) -> None:
    books.query("create table auth.users (id uuid primary key)")
    books.query("insert into auth.users (id) values (%s)", OWNER)
    with books.nothing_moves():
        books.query("delete from auth.users where id = %s", OWNER)
    books.assert_sound()


@pytest.mark.parametrize(("status", "goes_on"), [("active", True), ("past_due", True), ("canceled", False)])
def test_it_is_refused_while_a_subscription_goes_on(books: Books, status: str, goes_on: bool) -> None:
    books.query(
        "insert into billing.subscriptions (id, account_id, stripe_customer_id, status, quantity, cancel_at_period_end,"
        " started_at, version) values ('sub_1', 'a', 'cus_a', %s, 1, false, now(), 1)",
        status,
    )
    if goes_on:
        with books.refused("state_conflict"):
            books.ledger.erase_account("a", "operator")
    else:
        assert books.ledger.erase_account("a", "operator")["email"] is None
