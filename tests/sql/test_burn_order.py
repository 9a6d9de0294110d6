"""Lots: in which order they are drawn, and that expired ones never are."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")


def test_priority_comes_before_expiry(books: Books) -> None:
    books.grant("later", 10, priority=200, expires_in="1 day")
    books.grant("first", 10, priority=50)
    books.spend(5)
    assert books.lots() == {"later": 10, "first": 5}


@pytest.mark.parametrize("sooner_first", [True, False])
def test_of_equal_priority_the_sooner_expiring_lot_goes_first(books: Books, sooner_first: bool) -> None:
    lots = [("sooner", "1 day"), ("later", "2 days"), ("never", "infinity")]
    for name, expiry in lots if sooner_first else reversed(lots):
        books.grant(name, 10, expires_in=expiry)
    books.spend(12)
    assert books.lots() == {"sooner": 0, "later": 8, "never": 10}


def test_of_equal_expiry_promotional_credits_go_before_paid_ones(books: Books) -> None:
    books.grant("paid", 10, paid=500)
    books.grant("promo", 10)
    books.spend(12)
    assert books.lots() == {"paid": 8, "promo": 0}


def test_of_lots_equal_in_everything_the_oldest_goes_first(books: Books) -> None:
    for name in ("one", "two", "three"):
        books.grant(name, 10)
    books.spend(15)
    assert books.lots() == {"one": 0, "two": 5, "three": 10}


def test_a_spend_over_several_lots_is_one_entry_that_names_each_draw(books: Books) -> None:
    for name in ("one", "two", "three"):
        books.grant(name, 10)
    txn = books.spend(25)["transaction_id"]
    draws = books.query(
        "select amount from billing.credit_draws where transaction_id = %s order by lot_id", txn
    )
    assert [row["amount"] for row in draws] == [-10 * CREDIT, -10 * CREDIT, -5 * CREDIT]
    assert sum(row["amount"] for row in books.query("select amount from billing.ledger_entries")) == 0
    books.assert_sound()


def test_usage_draws_in_the_same_order_as_spending(books: Books) -> None:
    books.grant("paid", 10, paid=500)
    books.grant("promo", 10)
    books.grant("soon", 10, expires_in="1 day")
    books.use(22)
    assert books.lots() == {"paid": 8, "promo": 0, "soon": 0}
    books.assert_sound()


def test_expired_lots_are_not_spent_even_before_the_sweep(books: Books) -> None:
    books.grant("gone", 10, expires_in="1 hour")
    books.grant("stays", 10)
    books.age("2 hours")
    with books.refused("insufficient_credits") as refusal:
        books.spend(11)
    assert refusal.value.extra["available"] == 10 * CREDIT
    assert books.spend(4)["available"] == 6 * CREDIT
    assert books.lots() == {"gone": 0, "stays": 6}
    kinds = books.query("select kind, amount from billing.credit_transactions order by id desc limit 2")
    assert [(row["kind"], row["amount"]) for row in kinds] == [
        ("usage", -4 * CREDIT),
        ("expiry", -10 * CREDIT),
    ]
    books.assert_sound()


def test_usage_and_corrections_do_not_draw_from_expired_lots(books: Books) -> None:
    for number, debit in enumerate(
        (lambda: books.use(4), lambda: books.ledger.adjust_credits("x", "a", -4 * CREDIT, "r", "op"))
    ):
        books.grant(f"gone{number}", 10, expires_in="1 hour")
        books.grant(f"stays{number}", 10)
        books.age("2 hours")
        debit()
        assert books.lots()[f"gone{number}"] == 0
    assert books.balance() == 12
    books.assert_sound()


def test_a_balance_shows_expired_lots_as_gone_before_the_sweep(books: Books) -> None:
    books.grant("gone", 10, expires_in="1 hour")
    books.grant("stays", 7, expires_in="1 day")
    books.age("2 hours")
    seen = books.ledger.get_balance("a")
    assert (seen["balance"], seen["available"]) == (7 * CREDIT, 7 * CREDIT)
    assert [lot["source"] for lot in seen["lots"]] == ["test:stays"]


def test_the_sweep_expires_what_is_left_once_and_leaves_the_rest(books: Books) -> None:
    books.grant("gone", 10, expires_in="1 hour")
    books.grant("stays", 10, expires_in="1 day")
    books.spend(4)
    assert books.ledger.expire_lots(10) == 0
    books.age("2 hours")
    assert books.ledger.expire_lots(10) == 1
    assert books.lots() == {"gone": 0, "stays": 10}
    assert books.balance() == 10
    with books.nothing_moves():
        assert books.ledger.expire_lots(10) == 0
    books.age("1 day")
    assert books.ledger.expire_lots(10) == 1
    assert books.balance() == 0
    books.assert_sound()


def test_the_sweep_takes_as_many_accounts_as_it_was_told(books: Books) -> None:
    for name in ("b", "c", "d"):
        books.open(name)
        books.grant("gone", 10, account=name, expires_in="1 hour")
    books.age("2 hours")
    assert [books.ledger.expire_lots(2) for _ in range(3)] == [2, 1, 0]


def test_an_expiry_that_crosses_the_threshold_makes_no_topup_due(books: Books) -> None:
    books.grant("gone", 100, expires_in="1 hour")
    books.enable()
    books.age("2 hours")
    books.ledger.expire_lots(10)
    assert books.ledger.due_work(10)["accounts"] == []
    assert books.ask(demand=False)["reason"] == "next_spend"


def test_a_spend_behind_an_expiry_that_crossed_the_threshold_asks_for_the_check(books: Books) -> None:
    """The sweep would find it a minute later; the platform should not have to wait for that."""
    books.grant("gone", 100, expires_in="1 hour")
    books.grant("stays", 10)
    books.enable()
    books.age("2 hours")
    assert books.spend(1)["topup_due"]


@pytest.mark.parametrize("expiry_first", [True, False])
def test_an_expiry_that_races_a_debit_of_the_same_lot_takes_what_the_debit_left(
    books: Books, expiry_first: bool
) -> None:
    """Whoever comes second waits for the account's lock, and then sees the other's work."""
    books.grant("gone", 10, expires_in="1 hour")
    books.grant("stays", 10)
    with books.database.connect(autocommit=False) as first:
        if not expiry_first:
            first.execute("""select billing.spend_credits('a', '{"id": "raced", "amount": 4000000}')""")
            _expire_now(books, first)
            running = books.start(lambda: books.ledger.expire_lots(10))
            # A movement holds the account: the sweep leaves it, and comes again.
            assert running.result(timeout=20) == 0
            first.commit()
            assert books.ledger.expire_lots(10) == 1
            assert books.lots() == {"gone": 0, "stays": 10}
        else:
            _expire_now(books, first)
            first.execute("select billing.expire_lots(10)")
            running = books.start(lambda: books.spend(4))
            books.await_blocked()
            first.commit()
            assert running.result(timeout=20)["available"] == 6 * CREDIT
            assert books.lots() == {"gone": 0, "stays": 6}
    books.assert_sound()


def _expire_now(books: Books, connection: object) -> None:
    statement = "update billing.{} set {} = now() - interval '1 second' where {} < 'infinity'"
    for table, column in (("credit_lots", "expires_at"), ("credit_balances", "next_expiry_at")):
        connection.execute(statement.format(table, column, column).encode())  # type: ignore[attr-defined]


def test_fifty_spends_and_ten_sweeps_at_once_lose_nothing(books: Books) -> None:
    for number in range(20):
        books.grant(f"lot{number}", 1, expires_in="1 hour" if number % 2 else "infinity")
    books.query(
        "update billing.credit_lots set expires_at = now() where expires_at < 'infinity' and id %% 4 = 0"
    )
    books.query("update billing.credit_balances set next_expiry_at = now()")

    def work(number: int) -> object:
        if number % 2:
            return books.ledger.expire_lots(10)
        return [books.spend(0.1) for _ in range(10)]

    answers = books.together(12, work)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    books.ledger.expire_lots(10)
    assert books.balance() == 9
    books.assert_sound()
