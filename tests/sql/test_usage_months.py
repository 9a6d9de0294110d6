"""Months of usage: made ahead, exported, dropped; the books hold without them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books

SHA256 = "0" * 64
CLOCKED = ("credit_usage", "credit_transactions", "credit_holds")


def month(books: Books, ago: int) -> dt.date:
    """The first day of the month that many months ago."""
    value: dt.date = books.value(
        "select (date_trunc('month', now() at time zone 'UTC') - make_interval(months => %s))::date", ago
    )
    return value


def book_at(books: Books, at: str) -> None:
    """Lets what follows be booked at that time instead of now."""
    for table in CLOCKED:
        books.query(f"alter table billing.{table} alter created_at set default '{at}'")


def add_month(books: Books, first: dt.date) -> None:
    """The partition of a month gone by, as the sweep made it then."""
    books.query(
        f"create table billing.credit_usage_{first:%Y_%m} partition of billing.credit_usage for values"
        f" from ('{first} 00:00+00') to ('{first + dt.timedelta(days=31):%Y-%m}-01 00:00+00')"
    )


def past(books: Books, *ago: int) -> list[dt.date]:
    """Account "a" with months of usage, among them three events, a spend and a settled hold each."""
    books.open("a", 1_000)
    months = [month(books, number) for number in ago]
    for first in months:
        add_month(books, first)
        book_at(books, f"{first} 12:00+00")
        events = [
            {"id": f"{first}-{n}", "amount": CREDIT, "occurred_at": f"{first} 11:00+00"} for n in range(3)
        ]
        books.ledger.record_usage(events, "a")
        books.spend(2, event_id=f"{first}-spend")
        books.ledger.place_hold("a", {"id": f"{first}-hold", "amount": 5 * CREDIT})
        books.ledger.settle_hold("a", f"{first}-hold", {"amount": 4 * CREDIT})
    for table in CLOCKED:
        books.query(f"alter table billing.{table} alter created_at set default now()")
    books.spend(1, event_id="today")
    return months


def rows(books: Books, first: dt.date, limit: int = 100) -> list[dict[str, Any]]:
    """Everything of a month, page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = books.ledger.read_usage_month(first, after, limit)
        found += page["rows"]
        after = page["next"]
        if after is None:
            return found


def export(books: Books, first: dt.date) -> dict[str, Any]:
    found = rows(books, first)
    credits = sum(row["credits"] for row in found)
    return books.ledger.finish_usage_export(first, len(found), credits, SHA256, "test")


def test_a_month_is_read_page_by_page_complete_and_once(books: Books) -> None:
    first, _ = past(books, 4, 3)
    books.open("b", 10)
    whole = rows(books, first)
    assert len(whole) == 5
    assert sum(row["credits"] for row in whole) == 9 * CREDIT
    columns = books.value("select to_jsonb(u) from billing.credit_usage u limit 1").keys()
    assert all(row.keys() == columns for row in whole)
    for limit in (1, 2, 5):
        assert rows(books, first, limit) == whole


def test_months_are_listed_with_what_they_hold_and_held(books: Books) -> None:
    first, second = past(books, 4, 3)
    export(books, first)
    books.ledger.drop_usage_month(first, "test")
    listed = {row["month"]: row for row in books.ledger.usage_months()}
    assert list(listed) == sorted(listed)
    for day, dropped in ((first, True), (second, False)):
        row = listed[str(day)]
        assert (row["events"], row["credits"]) == (5, 9 * CREDIT)
        assert [row["exported_at"] is not None, row["dropped_at"] is not None] == [dropped, dropped]
    now = listed[str(month(books, 0))]
    assert (now["events"], now["credits"]) == (1, CREDIT)


def test_three_months_are_exported_and_dropped_and_the_books_hold(books: Books) -> None:
    months = past(books, 5, 4, 3)
    balance = books.balance()
    books.assert_sound()
    for first in months:
        export(books, first)
        answer = books.ledger.drop_usage_month(first, "olga")
        assert answer["dropped_at"] is not None
        books.assert_sound()
        with books.nothing_moves():
            assert books.ledger.drop_usage_month(first, "olga") == answer
    assert (
        books.value("select count(*) from pg_class where relname ~ '^credit_usage_2' and relkind = 'r'") == 4
    )
    log = books.query(
        "select actor, action, subject from billing.audit_log where action like 'usage.%%' order by id"
    )
    assert [tuple(row.values()) for row in log] == [
        ("olga", "usage.month_dropped", f"{first:%Y-%m}") for first in months
    ]
    assert books.balance() == balance
    assert [row["id"] for row in books.ledger.list_usage("a", 10, None)["data"]] == ["today"]
    assert len(books.ledger.list_transactions("a", 100, None)["data"]) == 1 + 3 * 3 + 1


def test_events_of_a_dropped_month_still_count_once(books: Books) -> None:
    (first,) = past(books, 3)
    export(books, first)
    books.ledger.drop_usage_month(first, "test")
    event = {"id": f"{first}-0", "amount": CREDIT, "occurred_at": f"{first} 11:00+00"}
    with books.nothing_moves():
        assert books.ledger.record_usage([event], "a")["duplicates"] == 1
        spent = books.spend(2, event_id=f"{first}-spend")
        again = books.ledger.settle_hold("a", f"{first}-hold", {"amount": 4 * CREDIT})
        conflict = books.ledger.record_usage([event | {"amount": 2}], "a")
    assert (spent["credits"], again["settled"]) == (2 * CREDIT, 4 * CREDIT)
    assert conflict["rejected"][0]["code"] == "idempotency_conflict"


def test_an_export_that_is_not_the_month_is_refused(books: Books) -> None:
    (first,) = past(books, 3)
    for events, credits in ((4, 9 * CREDIT), (5, 9 * CREDIT + 1)):
        with books.refused("state_conflict"):
            books.ledger.finish_usage_export(first, events, credits, SHA256, "test")
    with books.refused("invalid_value"):
        books.ledger.finish_usage_export(first, 5, 9 * CREDIT, "abc", "test")


def test_months_that_are_not_over_or_not_there_are_refused(books: Books) -> None:
    past(books, 3)
    unknown = dt.date(2001, 1, 1)
    for first, code in ((month(books, 0), "state_conflict"), (month(books, -1), "state_conflict"),
                        (unknown, "not_found"), (dt.date(2001, 1, 2), "invalid_value")):  # fmt: skip
        with books.refused(code):
            books.ledger.read_usage_month(first, None, 10)
        with books.refused(code):
            books.ledger.finish_usage_export(first, 0, 0, SHA256, "test")
        with books.refused(code):
            books.ledger.drop_usage_month(first, "test")


def test_a_month_that_was_not_exported_is_kept(books: Books) -> None:
    (first,) = past(books, 3)
    with books.refused("state_conflict") as refused:
        books.ledger.drop_usage_month(first, "test")
    assert "not exported" in refused.value.detail


def test_a_month_that_changed_since_its_export_is_kept_until_it_is_exported_again(books: Books) -> None:
    (first,) = past(books, 3)
    export(books, first)
    book_at(books, f"{first} 12:00+00")
    books.use(1)
    with books.refused("state_conflict") as refused:
        books.ledger.drop_usage_month(first, "test")
    assert "changed" in refused.value.detail
    export(books, first)
    books.ledger.drop_usage_month(first, "test")


@pytest.mark.parametrize("ago", [1, 2])
def test_the_last_two_months_are_kept(books: Books, ago: int) -> None:
    (first,) = past(books, ago)
    export(books, first)
    with books.refused("state_conflict") as refused:
        books.ledger.drop_usage_month(first, "test")
    assert "two months" in refused.value.detail


def test_the_oldest_month_goes_first(books: Books) -> None:
    _, second = past(books, 4, 3)
    export(books, second)
    with books.refused("state_conflict") as refused:
        books.ledger.drop_usage_month(second, "test")
    assert "oldest" in refused.value.detail


def test_usage_in_the_default_partition_is_older_too(books: Books) -> None:
    (first,) = past(books, 3)
    book_at(books, f"{month(books, 4)} 12:00+00")
    books.use(1)
    export(books, first)
    with books.refused("state_conflict") as refused:
        books.ledger.drop_usage_month(first, "test")
    assert "oldest" in refused.value.detail


def test_a_drop_gives_way_to_a_long_reader_and_spends_wait_no_longer_than_a_second(books: Books) -> None:
    (first,) = past(books, 3)
    export(books, first)
    with books.database.connect() as reader, reader.transaction():
        reader.execute("select count(*) from billing.credit_usage")
        drop = books.start(lambda: books.ledger.drop_usage_month(first, "test"))
        books.await_blocked()
        books.spend(1)
        assert not drop.done()
    assert drop.result()["dropped_at"] is not None
    books.assert_sound()


def test_a_month_that_is_counted_stops_no_booking_of_this_month(books: Books) -> None:
    (first,) = past(books, 3)
    with books.database.connect() as counting, counting.transaction():
        counting.execute("select billing._count_usage_month(%s)", [f"credit_usage_{first:%Y_%m}"])
        assert books.use(1)["accepted"] == 1


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_bookings_at_the_turn_of_the_year_land_in_their_months(books: Books, zone: str) -> None:
    name = books.value("select current_database()")
    books.query(f"alter database \"{name}\" set time zone '{zone}'")
    books.connection.close()
    books.connection = books.database.connect()
    books.open("a", 10)
    year = month(books, 0).year
    assert books.ledger.ensure_usage_partitions(13) > 0
    for at, event_id in (
        (f"{year}-12-31 23:59:59.999999+00", "old"),
        (f"{year + 1}-01-01 00:00:00+00", "new"),
    ):
        book_at(books, at)
        books.ledger.record_usage([{"id": event_id, "amount": CREDIT}], "a")
    assert books.query(
        "select event_id, tableoid::regclass::text as partition from billing.credit_usage order by id"
    ) == [
        {"event_id": "old", "partition": f"billing.credit_usage_{year}_12"},
        {"event_id": "new", "partition": f"billing.credit_usage_{year + 1}_01"},
    ]
