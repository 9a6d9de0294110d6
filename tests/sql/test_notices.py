"""What an account is told, and how often: the outbox."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def test_a_low_balance_is_told_once_per_crossing_and_again_only_after_a_recovery(books: Books) -> None:
    """The levels are 20 credits and none, and exactly at one counts."""
    books.spend(79.999999)
    assert books.notices("balance.low") == 0
    books.spend(0.000001)
    assert books.notices("balance.low") == 1
    for _ in range(5):
        books.spend(1)
    assert books.notices("balance.low") == 1
    books.use(30)
    assert books.notices("balance.low") == 2
    books.grant("small", 5)
    books.use(1)
    assert books.notices("balance.low") == 2
    books.grant("large", 100)
    books.spend(10)
    assert books.notices("balance.low") == 2
    books.use(60)
    assert books.notices("balance.low") == 3


def test_sixteen_spends_across_the_level_tell_once(books: Books) -> None:
    books.together(16, lambda _: books.spend(6))
    assert books.notices("balance.low") == 1


def test_an_expiry_below_the_level_is_told(books: Books) -> None:
    books.open("b")
    books.grant("gone", 50, account="b", expires_in="1 hour")
    books.age("2 hours")
    books.ledger.expire_lots(10)
    assert books.notices("balance.low") == 1


def test_a_low_balance_is_told_while_auto_topup_is_on_but_failing(books: Books) -> None:
    books.enable()
    books.use(95)
    assert books.notices("balance.low") == 1
    books.decline(books.charge())
    books.age("1 hour")
    books.settle(str(books.topup(books.charge())["payment_id"]))
    books.use(100)
    assert books.notices("balance.low") == 2
    payload = books.value(
        "select payload from billing.outbox where topic = 'balance.low' order by id limit 1"
    )
    assert payload == {"available": 5 * CREDIT, "level": 20 * CREDIT, "auto_topup": True}


def test_the_first_decline_and_the_pause_are_told_and_nothing_between(books: Books) -> None:
    books.enable()
    books.use(95)
    told = []
    for hours in (1, 2, 4, 4):
        books.decline(books.charge())
        told.append((books.notices("topup.declined"), books.notices("topup.paused")))
        books.age(f"{hours} hours")
    assert told == [(1, 0), (1, 0), (1, 0), (1, 1)]


def test_a_charge_that_succeeded_is_told_once(books: Books) -> None:
    books.enable()
    books.use(95)
    payment = str(books.topup(books.charge())["payment_id"])
    for _ in range(3):
        books.settle(payment)
    assert books.notices("topup.succeeded") == 1


def test_a_charge_that_needs_its_holder_is_told_once_and_not_as_a_pause(books: Books) -> None:
    books.enable()
    books.use(95)
    topup = books.charge()
    for _ in range(3):
        books.ledger.finish_topup(topup, "action_required", {})
    assert (books.notices("topup.action_required"), books.notices("topup.paused")) == (1, 0)
