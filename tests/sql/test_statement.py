"""The statement of a month ties out: opening + entries = closing, by kind and lot by lot, to the last micro-credit."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books

NOW = dt.datetime.now(dt.UTC)
MONTH = NOW.date().replace(day=1)
BEFORE = (MONTH - dt.timedelta(days=1)).replace(day=1)
AFTER = (MONTH + dt.timedelta(days=32)).replace(day=1)


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 50)


def ties_out(statement: dict[str, Any]) -> None:
    assert statement["opening"] + statement["net"] == statement["closing"]
    assert sum(kind["net"] for kind in statement["kinds"]) == statement["net"]
    assert all(kind["credits_in"] - kind["credits_out"] == kind["net"] for kind in statement["kinds"])
    for end in ("opening", "closing"):
        assert sum(lot[end] for lot in statement["lots"]) == max(0, statement[end])
        assert statement[f"debt_{end}"] == max(0, -statement[end])
    for lot in statement["lots"]:
        assert lot["opening"] + lot["filled"] - lot["drawn"] - lot["expired"] == lot["closing"]


def test_a_month_of_everything_ties_out(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    books.grant("gift", 10, expires_in="1 hour")
    books.ledger.place_hold("a", {"id": "h", "amount": 20 * CREDIT})
    books.ledger.settle_hold("a", "h", {"amount": 7 * CREDIT})
    books.spend(3)
    books.age("2 hours")
    books.ledger.expire_lots(10)
    books.use(200)
    version = books.ledger.get_reversals(payment)["version"]
    gone = {"id": "re_1", "amount": 250, "status": "succeeded", "reason": None, "created": 1}
    books.ledger.reverse_payment(payment, version, {"refunds": [gone], "disputes": []})
    statement = books.ledger.get_statement("a", MONTH)
    ties_out(statement)
    nets = {kind["kind"]: kind["net"] / CREDIT for kind in statement["kinds"]}
    assert nets == {"signup": 50, "purchase": 100, "promotion": 10, "usage": -210, "refund": -50}
    assert (statement["opening"], statement["closing"]) == (0, -100 * CREDIT)
    assert not statement["is_final"]


def test_an_expired_lot_says_how_much_of_it_expired(books: Books) -> None:
    books.grant("gift", 10, expires_in="1 hour")
    books.spend(4)
    books.age("2 hours")
    books.ledger.expire_lots(10)
    statement = books.ledger.get_statement("a", MONTH)
    gift = next(lot for lot in statement["lots"] if lot["source"] == "test:gift")
    assert [gift[name] / CREDIT for name in ("filled", "drawn", "expired", "closing")] == [10, 4, 6, 0]
    ties_out(statement)


def test_months_follow_one_another(books: Books) -> None:
    books.spend(5)
    books.age(f"{(NOW.date() - BEFORE).days} days")
    books.spend(2)
    former, current, coming = (books.ledger.get_statement("a", month) for month in (BEFORE, MONTH, AFTER))
    for statement in (former, current, coming):
        ties_out(statement)
    assert former["opening"] == 0
    assert former["closing"] == current["opening"] == 45 * CREDIT
    assert current["closing"] == coming["opening"] == coming["closing"] == 43 * CREDIT
    assert former["is_final"]


def test_the_entries_are_all_there_once_in_order_a_page_at_a_time(books: Books) -> None:
    for _ in range(7):
        books.spend(1)
    entries: list[dict[str, Any]] = []
    while page := books.ledger.list_statement_entries("a", MONTH, entries[-1]["id"] if entries else 0, 3):
        entries += page
    assert [entry["credits"] / CREDIT for entry in entries] == [50] + [-1] * 7
    assert [entry["id"] for entry in entries] == sorted(entry["id"] for entry in entries)


def test_any_month_of_movements_ties_out(books: Books) -> None:
    """30 seeded histories of grants, spends, usage below zero, holds and expiry, over two months."""
    for seed in range(30):
        random_ = random.Random(seed)
        name = books.open(f"acct_{seed}", random_.randint(0, 30))
        for number in range(random_.randint(1, 8)):
            what = random_.choice(["grant", "expiring", "use", "hold"])
            if what == "grant":
                books.grant(f"g{number}", random_.randint(1, 40), account=name)
            elif what == "expiring":
                books.grant(f"e{number}", random_.randint(1, 40), account=name, expires_in="12 days")
            elif what == "use":
                books.use(random_.randint(1, 60), account=name)
            elif what == "hold":
                hold = {"id": f"h{number}", "amount": 1}
                if books.balance(name) > 0:
                    books.ledger.place_hold(name, hold)
                    cost = random_.randint(1, 9 * CREDIT)
                    books.ledger.settle_hold(name, hold["id"], {"amount": cost})
        for month in (BEFORE, MONTH):
            ties_out(books.ledger.get_statement(name, month))


@pytest.mark.parametrize("month", [MONTH.replace(day=2)])
def test_a_day_that_begins_no_month_is_refused(books: Books, month: dt.date) -> None:
    with books.refused("invalid_value"):
        books.ledger.get_statement("a", month)


def test_an_unknown_account_is_refused(books: Books) -> None:
    with pytest.raises(Refused, match="no such account"):
        books.ledger.get_statement("nobody", MONTH)
