"""How long credits last: the pace of the last week, neither a burst nor what is yet to be rolled up upsets it."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from tests.sql.books import CREDIT, Books
from tests.sql.test_usage_summary import roll_up

DAY = dt.timedelta(days=1)


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def midnight(days_ago: int = 0) -> dt.datetime:
    return now().replace(hour=0, minute=0, second=0, microsecond=0) - days_ago * DAY


def runway(books: Books) -> float | None:
    return books.ledger.get_balance("a")["runway_days"]


def book(books: Books, *events: tuple[dt.datetime, float]) -> None:
    """Usage that happened then, of so many credits."""
    sent = [
        {"id": books.fresh("used"), "amount": round(credits * CREDIT), "occurred_at": at.isoformat()}
        for at, credits in events
    ]
    answer = books.ledger.record_usage(sent, "a")
    assert answer["accepted"] == len(sent), answer


def test_nothing_is_foretold_without_usage(books: Books) -> None:
    books.open("a", 100)
    assert runway(books) is None
    books.place(10)
    assert runway(books) is None


def test_a_burst_of_a_fresh_account_counts_as_a_day(books: Books) -> None:
    books.open("a", 100)
    books.spend(40)
    assert runway(books) == 1.5
    roll_up(books)
    assert runway(books) == 1.5
    books.spend(60)
    assert runway(books) == 0


def test_a_burst_after_quiet_days_is_spread_over_them(books: Books) -> None:
    books.open("a", 1_000)
    book(books, (midnight(6), 10))
    books.spend(90)
    days = (now() - midnight(6)) / DAY
    assert runway(books) == pytest.approx(900 / (100 / days), abs=0.06)


def test_usage_before_the_week_is_no_pace_but_shows_that_the_account_is_older(books: Books) -> None:
    books.open("a", 1_000)
    book(books, (midnight(20), 300))
    for _ in range(2):
        assert runway(books) is None
        roll_up(books)
    books.spend(100)
    days = (now() - midnight(6)) / DAY
    for _ in range(2):
        assert runway(books) == pytest.approx(600 / (100 / days), abs=0.06)
        roll_up(books)


def test_an_account_that_began_within_the_week_is_measured_since_then(books: Books) -> None:
    books.open("a", 1_000)
    began = now() - 2.5 * DAY
    book(books, (began, 50), (now() - DAY, 50))
    for _ in range(2):
        assert runway(books) == pytest.approx(900 / (100 / 2.5), abs=0.06)
        roll_up(books)


def test_events_that_are_booked_out_of_order_do_not_shorten_the_time(books: Books) -> None:
    books.open("a", 1_000)
    book(books, (now(), 50))
    book(books, (midnight(4) + DAY / 2, 50))
    days = (now() - midnight(3)) / DAY
    assert runway(books) == pytest.approx(900 / (100 / days), abs=0.06)


def test_pace_is_the_same_whatever_is_rolled_up(books: Books) -> None:
    books.open("a", 10_000)
    rng = random.Random(7)
    used = 0.0
    for _ in range(4):
        events = [(now() - rng.random() * 10 * DAY, rng.randrange(1, 50) / 10) for _ in range(40)]
        book(books, *events)
        used += sum(credits for at, credits in events if at >= midnight(6))
        days = (now() - midnight(6)) / DAY
        expected = books.balance() / (used / days)
        assert runway(books) == pytest.approx(expected, rel=0.001, abs=0.06)
        roll_up(books)
        assert runway(books) == pytest.approx(expected, rel=0.001, abs=0.06)


def test_what_waits_to_be_rolled_up_is_read_in_bounds(books: Books) -> None:
    books.open("a", 10_000)
    for _ in range(3):
        book(books, *[(now(), 1)] * 1_000)
    # The mean until the last event that was counted, of at least a day.
    assert runway(books) == 3.5
    roll_up(books, events=100_000)
    assert runway(books) == pytest.approx(7_000 / 3_000, abs=0.06)
