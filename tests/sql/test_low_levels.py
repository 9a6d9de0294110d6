"""Several levels of a low balance: each told once per crossing, the lowest when several are passed, again after credits."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sql.books import CREDIT, Books

NEVER = -(2**62)


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 200)


def levels(books: Books, *credits: float) -> None:
    books.ledger.set_low_levels("a", [round(level * CREDIT) for level in credits], "test")


def told(books: Books) -> list[float]:
    """The levels that were announced, in order."""
    rows = books.query("select payload from billing.outbox where topic = 'balance.low' order by id")
    return [row["payload"]["level"] / CREDIT for row in rows]


def low(books: Books) -> bool:
    return bool(books.ledger.get_balance("a")["low"])


def test_each_level_is_told_once_on_the_way_down(books: Books) -> None:
    levels(books, 100, 20, 0)
    for _ in range(20):
        books.spend(10)
    books.use(10)
    assert told(books) == [100, 20, 0]


def test_one_debit_through_several_levels_tells_the_lowest(books: Books) -> None:
    levels(books, 100, 20, 0)
    books.spend(185)
    assert told(books) == [20]
    books.use(15)
    assert told(books) == [20, 0]


def test_credits_rearm_the_levels_below_the_new_balance(books: Books) -> None:
    levels(books, 100, 20, 0)
    books.spend(190)
    books.grant("some", 40)
    books.spend(35)
    assert told(books) == [20, 20]
    books.grant("more", 150)
    books.spend(80)
    assert told(books) == [20, 20, 100]


def test_low_is_said_until_the_highest_level_is_passed(books: Books) -> None:
    levels(books, 100, 20, 0)
    assert not low(books)
    books.spend(100)
    assert low(books)
    books.spend(95)
    assert low(books)
    books.grant("some", 94)
    assert low(books)
    books.grant("more", 1.5)
    assert not low(books)


def test_levels_that_are_reached_already_are_not_told(books: Books) -> None:
    books.spend(150)
    levels(books, 100, 60, 20)
    books.spend(1)
    assert told(books) == []
    assert low(books)
    books.spend(29)
    assert told(books) == [20]


def test_without_levels_nothing_is_told(books: Books) -> None:
    levels(books)
    books.use(300)
    assert (told(books), low(books)) == ([], False)
    books.grant("some", 500)
    books.use(390)
    assert told(books) == []
    levels(books, 5)
    books.use(5)
    assert told(books) == [5]


def test_an_account_that_was_told_by_the_version_before_is_not_told_again(books: Books) -> None:
    """There the level stayed the highest one, and low_since said that it was told."""
    books.query("update billing.credit_balances set balance = 15000000, low_since = now()")
    books.query("update billing.credit_lots set remaining = 15000000")
    books.spend(1)
    assert told(books) == []
    books.use(14)
    assert told(books) == [0]


@pytest.mark.parametrize("wrong", [[6, 5, 4, 3, 2, 1], [-1], [10**10]])
def test_wrong_levels_are_refused(books: Books, wrong: list[int]) -> None:
    with books.refused("invalid_value"):
        levels(books, *wrong)


def test_levels_are_answered_from_the_highest_on_and_once_each(books: Books) -> None:
    levels(books, 0, 20, 100, 20)
    assert books.ledger.get_low_levels("a") == {"account_id": "a", "levels": [100 * CREDIT, 20 * CREDIT, 0]}


def test_eight_spenders_tell_each_crossing_once(books: Books) -> None:
    levels(books, 150, 100, 50, 0)

    def spend(_: int) -> None:
        for _ in range(5):
            books.spend(5)

    assert books.together(8, spend) == [None] * 8
    assert told(books) == [150, 100, 50, 0]


def test_below_its_levels_a_spend_announces_nothing_and_touches_them_no_more(books: Books) -> None:
    levels(books, 100)
    books.spend(101)
    assert books.value("select low_threshold from billing.credit_balances where account_id = 'a'") == NEVER
    books.use(300)
    assert told(books) == [100]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 60), max_size=5, unique=True),
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=12),
)
def test_any_movements_tell_what_a_plain_model_says(
    books: Books, chosen: list[int], moves: list[tuple[bool, int]]
) -> None:
    account = books.fresh("m")
    balance, armed = 50, [level for level in chosen if level < 50]
    books.open(account, balance)
    books.ledger.set_low_levels(account, [level * CREDIT for level in chosen], "test")
    expected = []
    for is_grant, amount in moves:
        balance += amount if is_grant else -amount
        if is_grant:
            books.grant(books.fresh("g"), amount, account=account)
            armed = [level for level in chosen if level < balance]
            continue
        books.use(amount, account=account)
        passed = [level for level in armed if balance <= level]
        if passed:
            expected.append(min(passed))
            armed = [level for level in armed if level < min(passed)]
    rows = books.query(
        "select payload from billing.outbox where topic = 'balance.low' and account_id = %s order by id",
        account,
    )
    assert [row["payload"]["level"] // CREDIT for row in rows] == expected
    assert books.ledger.get_balance(account)["low"] == (bool(chosen) and max(0, balance) <= max(chosen))
