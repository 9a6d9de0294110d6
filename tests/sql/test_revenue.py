"""Deferred revenue ties out month by month, and a model in plain Python comes to the same figures."""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books
from tests.sql.revenue_model import Model, Payment

FIGURES = ("opening", "sold", "restored", "refunded", "disputed", "broken", "used", "closing")


def month_before(month: dt.date, months: int = 1) -> dt.date:
    for _ in range(months):
        month = (month - dt.timedelta(days=1)).replace(day=1)
    return month


def now(books: Books) -> dt.datetime:
    return books.value("select now() at time zone 'UTC'").replace(tzinfo=dt.UTC)  # type: ignore[no-any-return]


def this_month(books: Books) -> dt.date:
    return now(books).date().replace(day=1)


def revenue(books: Books, month: dt.date | None = None, account: str | None = None) -> dict[str, Any]:
    """The figures of dollars that are not zero, and the kinds."""
    found = books.ledger.get_revenue(month or this_month(books), account)
    (total,) = found["currencies"] or [{"kinds": []}]
    return {name: value for name, value in total.items() if value and name != "currency"}


def figures(**named: int) -> dict[str, int]:
    return named


def plain(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "kinds"}


def ties_out(found: dict[str, Any]) -> None:
    for total in found["currencies"]:
        for row in (total, *total["kinds"]):
            left = row["opening"] + row["sold"] + row["restored"] - row["refunded"] - row["disputed"]
            assert left - row["broken"] - row["used"] == row["closing"]
            assert min(row[name] for name in FIGURES) >= 0
        for name in FIGURES:
            assert sum(kind[name] for kind in total["kinds"]) == total[name]


def told(books: Books, payment: str, refunded: int, dispute: tuple[str, int, bool] | None = None) -> None:
    refund = {"id": f"re_{payment}", "amount": refunded, "reason": None, "created": time.time()}
    status = "succeeded" if refunded else "failed"
    facts: dict[str, Any] = {"refunds": [refund | {"status": status}], "disputes": []}
    if dispute is not None:
        status, amount, withdrawn = dispute
        facts["disputes"] = [
            {"id": f"dp_{payment}", "amount": amount, "status": status, "reason": None, "created": time.time(),
             "withdrawn": withdrawn}
        ]  # fmt: skip
    version = books.ledger.get_reversals(payment)["version"]
    assert books.ledger.reverse_payment(payment, version, facts)["outcome"] == "reversed"


@pytest.fixture
def paid(books: Books) -> str:
    """An account with 100 credits for five dollars and 20 free ones."""
    books.open("a")
    payment = books.buy()
    books.settle(payment)
    return payment


def test_what_is_unused_is_deferred_and_what_is_used_is_earned(books: Books, paid: str) -> None:
    assert plain(revenue(books)) == figures(sold=500, closing=500)
    books.spend(30)
    assert plain(revenue(books)) == figures(sold=500, used=150, closing=350)
    (kind,) = revenue(books)["kinds"]
    assert (kind["kind"], kind["closing"]) == ("purchases", 350)


def test_free_credits_are_worth_nothing(books: Books) -> None:
    books.open("a", 50)
    books.spend(10)
    assert books.ledger.get_revenue(this_month(books), None)["currencies"] == []


def test_a_refund_takes_what_is_unused(books: Books, paid: str) -> None:
    books.spend(30)
    told(books, paid, 500)
    assert plain(revenue(books)) == figures(sold=500, used=150, refunded=350)


def test_a_dispute_that_is_won_restores_what_it_took(books: Books, paid: str) -> None:
    told(books, paid, 0, ("needs_response", 500, True))
    assert plain(revenue(books)) == figures(sold=500, disputed=500)
    told(books, paid, 0, ("won", 500, False))
    assert plain(revenue(books)) == figures(sold=500, disputed=500, restored=500, closing=500)


def test_credits_that_paid_a_debt_are_used(books: Books) -> None:
    books.open("a", 10)
    books.use(50)
    books.settle(books.buy())
    assert plain(revenue(books)) == figures(sold=500, used=200, closing=300)


def test_what_expires_is_breakage(books: Books) -> None:
    books.open("a")
    books.grant("lot", 3, paid=100, expires_in="1 day")
    books.spend(1)
    books.age("2 days")
    books.ledger.expire_lots(10)
    months = {this_month(books), month_before(this_month(books))}
    found = [revenue(books, month) for month in months]
    assert sum(row.get("broken", 0) for row in found) == 67
    assert sum(row.get("used", 0) for row in found) == 33


def test_a_correction_by_an_operator_counts_as_used(books: Books, paid: str) -> None:
    books.ledger.adjust_credits("adj_1", "a", -10 * CREDIT, "why", "dana")
    assert plain(revenue(books)) == figures(sold=500, used=50, closing=450)


def test_steps_of_a_lot_that_divides_badly_never_lose_or_invent_a_cent(books: Books) -> None:
    books.open("a")
    books.grant("lot", 7, paid=1)
    for _ in range(7):
        books.spend(1)
        found = books.ledger.get_revenue(this_month(books), None)
        ties_out(found)
    assert plain(revenue(books)) == figures(sold=1, used=1)


def test_currencies_and_accounts_are_apart(books: Books, paid: str) -> None:
    books.open("b")
    books.query("update billing.credit_packages set currency = 'eur' where id = 'credits_100'")
    books.settle(books.buy("b"))
    both = books.ledger.get_revenue(this_month(books), None)
    assert [(row["currency"], row["sold"]) for row in both["currencies"]] == [("eur", 500), ("usd", 500)]
    one = books.ledger.get_revenue(this_month(books), "b")
    assert ([row["currency"] for row in one["currencies"]], one["account_id"]) == (["eur"], "b")


def test_a_day_that_is_no_first_of_a_month_and_an_unknown_account_are_refused(books: Books) -> None:
    with books.refused("invalid_value"):
        books.ledger.get_revenue(dt.date(2026, 11, 2), None)
    with books.refused("unknown_account"):
        books.ledger.get_revenue(dt.date(2026, 11, 1), "nobody")


class History:
    """The same random acts on the books and on the model."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books, self.model, self.random = books, Model(), random.Random(seed)
        self.payments: dict[str, tuple[Payment, int, int, str]] = {}
        books.open("a")

    def act(self) -> None:
        name = self.random.choice(
            ["buy", "buy", "grant", "spend", "spend", "spend", "use", "reverse", "reverse", "wait"]
        )
        getattr(self, name)()
        assert self.model.balance / CREDIT == self.books.balance()

    def buy(self) -> None:
        credits, amount = self.random.randint(1, 90), self.random.choice([50, 99, 333, 500, 1999])
        self.books.query(
            "update billing.credit_packages set credits = %s, amount = %s where id = 'credits_100'",
            credits * CREDIT,
            amount,
        )
        payment = self.books.buy()
        self.books.settle(payment)
        lot = self.model.grant("purchase", credits * CREDIT, amount)
        self.payments[payment] = (Payment(lot, amount), 0, 0, "")

    def grant(self) -> None:
        credits, days = self.random.randint(1, 30), self.random.choice([5, 20, 45])
        paid = self.random.choice([0, 1, 77])
        self.books.grant(self.books.fresh("g"), credits, paid=paid, expires_in=f"{days} days")
        self.model.grant("promotion", credits * CREDIT, paid, days)

    def spend(self) -> None:
        credits = self.random.randint(1, 40) + self.random.choice([0, 0.333333])
        if self.model.balance >= credits * CREDIT and not any(
            state == "open" for *_, state in self.payments.values()
        ):
            self.books.spend(credits)
            self.model.take(round(credits * CREDIT), "used")

    def use(self) -> None:
        credits = self.random.randint(1, 60)
        self.books.use(credits)
        self.model.take(credits * CREDIT, "used")

    def reverse(self) -> None:
        """Refunds grow or fail, disputes open, are won or lost."""
        if not self.payments:
            return
        name = self.random.choice(list(self.payments))
        payment, refunded, disputed, state = self.payments[name]
        act = self.random.choice(["refund", "failed", "dispute", "decide"])
        if act == "refund":
            refunded = self.random.randint(refunded, payment.amount)
        elif act == "failed":
            refunded = 0
        elif act == "dispute" and not state:
            state, disputed = "open", payment.amount
        elif act == "decide" and state == "open":
            state = self.random.choice(["won", "lost"])
            disputed = 0 if state == "won" else disputed
        facts = {"open": ("needs_response", payment.amount, True), "won": ("won", payment.amount, False),
                 "lost": ("lost", payment.amount, True)}.get(state)  # fmt: skip
        told(self.books, name, refunded, facts)
        self.model.reverse(payment, refunded, disputed)
        self.payments[name] = (payment, refunded, disputed, state)

    def wait(self) -> None:
        days = self.random.choice([3, 11, 30])
        self.books.age(f"{days} days")
        self.books.ledger.expire_lots(10)
        self.model.pass_days(days)


@pytest.mark.parametrize("seed", range(8))
def test_random_histories_tie_out_and_agree_with_the_model(books: Books, seed: int) -> None:
    history = History(books, seed)
    for _ in range(60):
        history.act()
    # Noon, so that no act stands at the end of a day.
    hour = now(books).hour
    books.age(f"{hour - 12 if hour >= 12 else hour + 12} hours")
    end = now(books) - dt.timedelta(hours=hour - 12 if hour >= 12 else hour + 12)
    month, closing = this_month(books), None
    months = [month_before(month, back) for back in range(12, -1, -1)]
    assert history.model.now < 330
    for each in months:
        found = books.ledger.get_revenue(each, None)
        ties_out(found)
        total = (found["currencies"] or [dict.fromkeys(FIGURES, 0) | {"kinds": []}])[0]
        if closing is not None:
            assert total["opening"] == closing
        closing = total["closing"]
        kinds = {kind["kind"]: {name: kind[name] for name in FIGURES} for kind in total["kinds"]}
        assert kinds == {
            kind: dict.fromkeys(FIGURES, 0) | wanted
            for kind, wanted in history.model.revenue(each, end).items()
        }
        assert books.ledger.get_revenue(each, "a")["currencies"] == found["currencies"]
    whole = books.query(
        "select coalesce(sum(round(paid_amount::numeric * remaining / granted)), 0) as left from billing.credit_lots"
        " where is_paid"
    )[0]["left"]
    assert closing == whole
    books.assert_sound()
