"""Lots that expire: told ahead, once an expiry; extended by operators, never after their time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books
from tests.support import wait_until

WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")


def announce(books: Books, days: int = 7) -> int:
    return books.ledger.announce_expiring_lots(days, 500)


def told(books: Books) -> list[dict[str, Any]]:
    rows = books.query("select payload from billing.outbox where topic = 'lot.expiring' order by id")
    return [row["payload"] for row in rows]


def lot_id(books: Books, name: str) -> int:
    return int(books.value("select id from billing.credit_lots where source = %s", f"test:{name}"))


def at(books: Books, days: int, hours: float = 0) -> str:
    """A time of the day that is so many days ahead, ISO 8601."""
    return str(
        books.value(
            "select to_json(date_trunc('day', now() + make_interval(days => %s), 'UTC') + make_interval(mins => %s))"
            " #>> '{}'",
            days,
            int(hours * 60),
        )
    )


def grant_until(books: Books, name: str, credits: float, moment: str, account: str = "a") -> int:
    books.connection.execute(
        "select billing._post_grant(%s, 'promotion', 'promotions', %s, 'test', %s, p_expires_at => %s)",
        [account, int(credits * CREDIT), name, moment],
    )
    return lot_id(books, name)


def next_expiry(books: Books) -> str:
    return str(books.value("select next_expiry_at::text from billing.credit_balances where account_id = 'a'"))


@pytest.mark.parametrize(("days", "told_of"), [(1, True), (7, True), (8, False), (40, False)])
def test_a_lot_is_announced_from_the_seventh_day_before_its_expiry(
    books: Books, days: int, told_of: bool
) -> None:
    number = grant_until(books, "lot", 10, at(books, days, 23.5))
    books.grant("never", 10)
    assert announce(books) == int(told_of)
    assert [(notice["credits"], [lot["id"] for lot in notice["lots"]]) for notice in told(books)] == (
        [(10 * CREDIT, [f"lot_{number}"])] if told_of else []
    )


def test_the_days_are_a_setting(books: Books) -> None:
    grant_until(books, "lot", 10, at(books, 20))
    assert [announce(books, days) for days in (19, 20)] == [0, 1]


def test_lots_of_one_account_and_day_are_one_notice_of_what_remains(books: Books) -> None:
    books.open("b")
    morning = at(books, 3, 6)
    first = grant_until(books, "late", 10, at(books, 3, 22))
    second = grant_until(books, "early", 10, morning)
    third = grant_until(books, "next day", 10, at(books, 4))
    grant_until(books, "theirs", 5, at(books, 3, 7), account="b")
    books.spend(4)
    assert announce(books) == 3
    mine = books.query(
        "select payload from billing.outbox where topic = 'lot.expiring' and account_id = 'a' order by id"
    )
    assert [row["payload"]["credits"] / CREDIT for row in mine] == [16, 10]
    assert [[lot["id"] for lot in row["payload"]["lots"]] for row in mine] == [
        [f"lot_{second}", f"lot_{first}"],
        [f"lot_{third}"],
    ]
    assert mine[0]["payload"]["expires_at"] == morning
    assert [lot["remaining"] / CREDIT for lot in mine[0]["payload"]["lots"]] == [6, 10]


def test_it_is_announced_once(books: Books) -> None:
    books.grant("lot", 10, expires_in="3 days")
    assert announce(books) == 1
    with books.nothing_moves():
        assert announce(books) == 0


def test_a_lot_that_comes_later_for_a_day_that_was_announced_is_announced_too(books: Books) -> None:
    moment = at(books, 3, 6)
    grant_until(books, "first", 10, moment)
    announce(books)
    grant_until(books, "second", 5, moment)
    announce(books)
    assert [notice["credits"] / CREDIT for notice in told(books)] == [10, 5]


def test_what_is_used_up_or_has_expired_is_not_announced(books: Books) -> None:
    books.grant("used", 10, expires_in="1 day")
    books.spend(10)
    books.grant("expired", 10, expires_in="1 day")
    books.query("update billing.credit_lots set expires_at = now() where source = 'test:expired'")
    assert announce(books) == 0
    books.grant("paid a debt", 0.5, expires_in="1 day")
    assert announce(books) == 1


def test_an_account_that_is_locked_is_told_by_the_next_run_and_the_others_by_this_one(books: Books) -> None:
    books.open("b")
    for account in ("a", "b"):
        books.grant(f"lot of {account}", 10, account=account, expires_in="1 day")
    with books.database.connect() as other, other.transaction():
        other.execute("select from billing.credit_balances where account_id = 'a' for update")
        assert announce(books) == 1
    assert announce(books) == 1
    assert announce(books) == 0


def test_several_sweeps_at_once_announce_it_once(books: Books) -> None:
    for number in range(20):
        books.open(f"acct{number}")
        books.grant(f"lot{number}", 10, account=f"acct{number}", expires_in="1 day")
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: announce(books), range(12)))
    announce(books)
    assert len(told(books)) == 20


def test_a_million_other_lots_cost_nothing(books: Books) -> None:
    books.query(
        "insert into billing.credit_lots (account_id, kind, source, granted, remaining, is_open, is_paid, expires_at)"
        " select 'b' || n, 'promotion', 's', 1, 1, true, false,"
        " case when n & 1 = 0 then 'infinity' else now() + interval '1 year' end from generate_series(1, 20000) n"
    )
    books.grant("lot", 10, expires_in="1 day")
    books.query("analyze billing.credit_lots")
    rows = "select coalesce(seq_tup_read, 0), idx_tup_fetch from pg_stat_xact_user_tables where relname = 'credit_lots'"
    with books.database.connect() as connection, connection.transaction():
        connection.execute("select billing.announce_expiring_lots(7, 500)")
        scanned, fetched = connection.execute(rows.encode()).fetchone() or (None, None)
    assert (scanned, fetched <= 5) == (0, True)


def test_a_spend_leaves_the_index_alone(books: Books) -> None:
    books.grant("lot", 10, expires_in="1 day")
    books.query("vacuum billing.credit_lots")
    hot = "select n_tup_hot_upd from pg_stat_xact_user_tables where relname = 'credit_lots'"
    with books.database.connect() as connection, connection.transaction():
        connection.execute("""select billing.spend_credits('a', '{"id": "x", "amount": 1000000}')""")
        assert connection.execute(hot.encode()).fetchone() == (1,)


# Extending


def test_an_extended_lot_stays_until_its_new_time_and_is_announced_again(books: Books) -> None:
    number = grant_until(books, "lot", 10, at(books, 1))
    announce(books)
    later = at(books, 5, 12)
    lot = books.ledger.extend_lot("a", number, later, "an outage", "dana")
    assert (lot["id"], lot["expires_at"], lot["remaining"]) == (number, later, 10 * CREDIT)
    assert books.value("select next_expiry_at = %s::timestamptz from billing.credit_balances", later)
    announce(books)
    assert [notice["expires_at"] for notice in told(books)] == [at(books, 1), later]
    books.age("2 days")
    assert books.ledger.expire_lots(10) == 0
    assert books.balance() == 10
    books.age("4 days")
    books.ledger.expire_lots(10)
    assert books.balance() == 0
    books.assert_sound()


def test_extending_within_the_same_day_is_announced_again_too(books: Books) -> None:
    number = grant_until(books, "lot", 10, at(books, 2, 1))
    announce(books)
    books.ledger.extend_lot("a", number, at(books, 2, 2), "why", "dana")
    announce(books)
    assert len(told(books)) == 2


def test_a_lot_may_be_made_to_last_for_ever(books: Books) -> None:
    number = grant_until(books, "lot", 10, at(books, 1))
    assert books.ledger.extend_lot("a", number, None, "why", "dana")["expires_at"] is None
    assert next_expiry(books) == "infinity"
    assert announce(books) == 0


def test_the_next_expiry_is_that_of_the_lot_that_now_comes_first(books: Books) -> None:
    number = grant_until(books, "lot", 10, at(books, 1))
    grant_until(books, "other", 10, at(books, 2))
    books.ledger.extend_lot("a", number, at(books, 9), "why", "dana")
    assert books.value("select next_expiry_at = %s::timestamptz from billing.credit_balances", at(books, 2))


def test_the_burn_order_follows(books: Books) -> None:
    number = grant_until(books, "first", 10, at(books, 1))
    grant_until(books, "second", 10, at(books, 2))
    books.ledger.extend_lot("a", number, at(books, 3), "why", "dana")
    books.spend(4)
    assert books.lots() == {"first": 10, "second": 6}


def test_an_extension_is_audited_once_and_a_repeat_changes_nothing(books: Books) -> None:
    number, later = grant_until(books, "lot", 10, at(books, 1)), at(books, 5)
    books.ledger.extend_lot("a", number, later, "an outage", "dana")
    with books.nothing_moves():
        again = books.ledger.extend_lot("a", number, later, "an outage", "dana")
    assert again["expires_at"] == later
    (row,) = books.query("select * from billing.audit_log where action = 'lot.extended'")
    assert (row["account_id"], row["actor"], row["subject"]) == ("a", "dana", str(number))
    assert row["details"] == {"expires_at": later, "reason": "an outage"}


def test_a_repeat_after_the_new_expiry_answers_as_before(books: Books) -> None:
    number = grant_until(books, "lot", 10, at(books, 1))
    later = str(books.value("select to_json(now() + interval '2 days') #>> '{}'"))
    books.ledger.extend_lot("a", number, later, "why", "dana")
    books.age("3 days")
    books.ledger.expire_lots(10)
    was = str(
        books.value("select to_json(expires_at) #>> '{}' from billing.credit_lots where id = %s", number)
    )
    assert books.ledger.extend_lot("a", number, was, "why", "dana")["remaining"] == 0


def test_a_lot_is_never_shortened(books: Books) -> None:
    number = grant_until(books, "lot", 10, at(books, 5))
    books.grant("never", 10)
    for name, moment in ((number, at(books, 4)), (lot_id(books, "never"), at(books, 900))):
        with books.refused("invalid_value"):
            books.ledger.extend_lot("a", name, moment, "why", "dana")


@pytest.mark.parametrize("swept", [True, False])
def test_after_its_expiry_an_adjustment_is_the_way_and_the_refusal_says_so(books: Books, swept: bool) -> None:
    number = grant_until(books, "lot", 10, at(books, 1))
    books.age("3 days")
    if swept:
        books.ledger.expire_lots(10)
    with books.refused("state_conflict") as caught:
        books.ledger.extend_lot("a", number, at(books, 5), "why", "dana")
    assert "adjustment" in caught.value.detail


@pytest.mark.parametrize("reason", ["", "x" * 501])
def test_an_extension_has_a_reason(books: Books, reason: str) -> None:
    number = grant_until(books, "lot", 10, at(books, 1))
    with books.refused("invalid_value"):
        books.ledger.extend_lot("a", number, at(books, 5), reason, "dana")


def test_lots_of_other_accounts_are_not_found(books: Books) -> None:
    books.open("b")
    number = grant_until(books, "theirs", 10, at(books, 1), account="b")
    for account, unknown in (("a", number), ("a", number + 1000)):
        with books.refused("not_found"):
            books.ledger.extend_lot(account, unknown, at(books, 5), "why", "dana")
    with books.refused("unknown_account"):
        books.ledger.extend_lot("nobody", number, at(books, 5), "why", "dana")


def test_an_extension_that_waited_while_the_sweep_expired_the_lot_is_refused(books: Books) -> None:
    """Its transaction began before the expiry, and got the account's lock after it."""
    books.grant("lot", 10, expires_in="1 day")
    number = lot_id(books, "lot")
    books.query("update billing.credit_lots set expires_at = now() + interval '1.5 seconds'")
    books.query(
        "update billing.credit_balances set next_expiry_at = (select expires_at from billing.credit_lots)"
    )
    with books.database.connect() as sweep, ThreadPoolExecutor(1) as threads:
        with sweep.transaction():
            sweep.execute("select from billing.credit_balances for update")
            extending = threads.submit(books.ledger.extend_lot, "a", number, at(books, 5), "why", "dana")
            wait_until(lambda: books.value(WAITING) == 1, 10, interval=0.01)
            wait_until(
                lambda: books.value("select expires_at < clock_timestamp() from billing.credit_lots"),
                10,
                interval=0.05,
            )
        with pytest.raises(Refused) as caught:
            extending.result()
    assert caught.value.code == "state_conflict"
    books.ledger.expire_lots(10)
    assert (books.balance(), books.lots()) == (0, {"lot": 0})
    books.assert_sound()


def test_a_sweep_that_waited_while_the_lot_was_extended_leaves_it(books: Books) -> None:
    books.grant("lot", 10, expires_in="1 day")
    number = lot_id(books, "lot")
    books.query("update billing.credit_balances set next_expiry_at = now()")
    with books.database.connect() as extending, ThreadPoolExecutor(1) as threads:
        with extending.transaction():
            extending.execute(
                "select billing.extend_lot('a', %s, now() + interval '5 days', 'why', 'dana')", [number]
            )
            # A spend that sees an expiry that is past expires what has to be.
            spending = threads.submit(books.spend, 4)
            wait_until(lambda: books.value(WAITING) == 1, 10, interval=0.01)
        spending.result()
    assert books.lots() == {"lot": 6}
    books.assert_sound()
