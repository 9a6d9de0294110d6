"""Usage added up by day and name: the same with and without rollups, whatever is rolled up when."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.db import PostgresDatabase
from shared.ledger import Ledger
from tests.sql.books import CREDIT, Books

GROUPS = ("day", "action", "agent", "member", "department", "run")
FIELDS = {
    "action": "action",
    "agent": "agent",
    "member": "member_id",
    "department": "department_id",
    "run": "run_id",
}
NAMES: tuple[str | None, ...] = (None, "x", "y", "\N{GREEK SMALL LETTER ALPHA}'; --", "z" * 255)
TODAY = dt.datetime.now(dt.UTC).date()
FIRST = TODAY - dt.timedelta(days=29)


def roll_up(books: Books, accounts: int = 2, events: int = 7) -> int:
    """A run of the job, in small steps; answers how many events it counted."""
    after: str | None = ""
    count = 0
    while after is not None:
        done = books.ledger.roll_up_usage(after, accounts, events)
        after, count = done["next"], count + done["events"]
    return count


def book(books: Books, count: int, seed: int, account: str = "a") -> list[dict[str, Any]]:
    """Events of the last 40 days with names from few, and what was sent."""
    rng = random.Random(seed)
    sent = []
    for number in range(count):
        at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=rng.randrange(40 * 24), seconds=1)
        event = {
            "id": f"e{seed}-{number}",
            "amount": rng.randrange(1, 5) * CREDIT,
            "occurred_at": at.isoformat(),
        }
        event |= {f: n for f in FIELDS.values() if f != "action" and (n := rng.choice(NAMES)) is not None}
        if rng.random() < 0.7:
            event |= {"action": rng.choice(("chat", "search"))}
        sent.append(event)
    answer = books.ledger.record_usage(sent, account)
    assert answer["accepted"] == count, answer
    return sent


def expected(
    sent: list[dict[str, Any]], group: str, only: tuple[str, str | None] | None
) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for event in sent:
        day = event["occurred_at"][:10]
        if not str(FIRST) <= day <= str(TODAY) or (only and event.get(FIELDS[only[0]]) != only[1]):
            continue
        name = day if group == "day" else event.get(FIELDS[group])
        found[name][0] += 1
        found[name][1] += event["amount"]
    return found


def assert_sums(books: Books, sent: list[dict[str, Any]], only: tuple[str, str | None] | None) -> None:
    answer = books.ledger.usage_summary("a", FIRST, TODAY, GROUPS, only=only)
    for group in GROUPS:
        rows = answer["groups"][group]["data"]  # type: ignore[index]
        wanted = expected(sent, group, only)
        assert {row["name"]: [row["events"], row["credits"]] for row in rows if row["events"]} == wanted, (
            group,
            only,
        )
        assert answer["credits"] == sum(row["credits"] for row in rows)
    assert [row["name"] for row in answer["groups"]["day"]["data"]] == [
        str(FIRST + dt.timedelta(days=n)) for n in range(30)
    ]


ONLY = [
    None,
    ("agent", "x"),
    ("agent", None),
    ("member", NAMES[3]),
    ("action", "chat"),
    ("run", "z" * 255),
    ("run", None),
]


def test_sums_are_those_of_the_events_before_between_and_after_rollups(books: Books) -> None:
    books.open("a", 10_000)
    books.open("b", 10_000)
    sent = book(books, 60, 1)
    book(books, 9, 99, "b")
    for only in ONLY:
        assert_sums(books, sent, only)
    assert roll_up(books) == 69
    for only in ONLY:
        assert_sums(books, sent, only)
    sent += book(books, 40, 2)
    for only in ONLY:
        assert_sums(books, sent, only)
    assert roll_up(books) == 40
    assert roll_up(books) == 0
    for only in ONLY:
        assert_sums(books, sent, only)
    books.assert_sound()


def test_rollups_beside_spends_count_every_event_once(books: Books) -> None:
    """Eight connections spend and report while two run the job; ids are given in any order."""
    books.open("a", 10_000)
    seam = PostgresDatabase(books.database.dsn, pool_size=10)
    ledger = Ledger(seam)
    sums: list[int] = []

    def spend(worker: int) -> None:
        for number in range(40):
            event = {"id": f"s{worker}-{number}", "amount": CREDIT, "agent": f"agent {worker}"}
            if worker % 2:
                ledger.spend_credits("a", event)
            else:
                ledger.record_usage([event, event | {"id": f"{event['id']}b"}], "a")

    def roll(_: int) -> None:
        for _ in range(40):
            ledger.roll_up_usage("", 10, 1000)
            sums.append(ledger.usage_summary("a", TODAY, TODAY, ["agent"])["credits"])

    try:
        with ThreadPoolExecutor(10) as pool:
            list(
                pool.map(lambda job: job[0](job[1]), [(spend, n) for n in range(8)] + [(roll, 0), (roll, 1)])
            )
        roll_up(books)
        answer = books.ledger.usage_summary("a", TODAY, TODAY, ["agent"])
        assert answer["credits"] == (4 * 40 + 4 * 80) * CREDIT
        assert {row["name"]: row["events"] for row in answer["groups"]["agent"]["data"]} == {
            f"agent {n}": 40 if n % 2 else 80 for n in range(8)
        }
        assert max(sums) <= answer["credits"]
    finally:
        seam.close()


def test_the_names_beyond_the_limit_are_the_rest(books: Books) -> None:
    books.open("a", 1000)
    for number in range(1, 6):
        books.ledger.spend_credits(
            "a", {"id": f"e{number}", "amount": number * CREDIT, "run_id": f"r{number}"}
        )
    found = books.ledger.usage_summary("a", TODAY, TODAY, ["run"], limit=2)["groups"]["run"]
    assert [row["name"] for row in found["data"]] == ["r5", "r4"]
    assert found["rest"] == {"names": 3, "events": 3, "credits": 6 * CREDIT}


@pytest.mark.parametrize(
    ("first", "last", "groups", "only"),
    [
        (TODAY, FIRST, ["day"], None),
        (TODAY - dt.timedelta(days=367), TODAY, ["day"], None),
        (FIRST, TODAY, ["hour"], None),
        (FIRST, TODAY, ["day"], ("day", "x")),
        (FIRST, TODAY, ["day"], ("metadata", "x")),
    ],
)
def test_what_is_no_period_or_group_is_refused(
    books: Books, first: Any, last: Any, groups: Any, only: Any
) -> None:
    books.open("a", 1)
    with books.refused("invalid_value"):
        books.ledger.usage_summary("a", first, last, groups, only=only)
    with books.refused("unknown_account"):
        books.ledger.usage_summary("nobody", FIRST, TODAY, ["day"])
