"""A yearly plan that grants each month: planned when it is paid, granted when due, stopped when its money goes back."""

from __future__ import annotations

from typing import Any

import pytest

from shared.stripe_subscriptions import facts_of_invoice
from tests import stripe_shapes as stripe
from tests.sql.books import CREDIT, Books
from tests.sql.test_invoice_lines import PRICES, YEAR, account

__all__ = ["account"]


@pytest.fixture
def year(books: Books, account: None) -> int:
    """6,000 credits for 250 dollars a year, 500 of them each month; its first is granted. Answers when it began."""
    books.query("update billing.subscription_plans set grant_interval = 'month' where id = 'small_year'")
    start = int(books.value("select extract(epoch from now())"))
    pay(books, stripe.line("il_y", 25000, "small-annual", start, start + YEAR))
    return start


def pay(books: Books, *lines: dict[str, Any], name: str = "in_y", **more: Any) -> dict[str, Any]:
    invoice = stripe.invoice(name, *lines, **more)
    return dict(books.ledger.grant_invoice(facts_of_invoice(invoice, PRICES)))


def later(books: Books, months: int) -> None:
    """That many months pass, with a sweep in each."""
    for _ in range(months):
        books.age("31 days")
        books.ledger.grant_portions(10)


def gone(books: Books, amount: int, **dispute: Any) -> None:
    version = books.ledger.get_reversals(None, "in_y")["version"]
    facts = {"id": "re_1", "amount": amount, "status": "succeeded", "reason": None, "created": 1}
    told = {"refunds": [], "disputes": [facts | dispute]} if dispute else {"refunds": [facts], "disputes": []}
    books.ledger.reverse_payment(None, version, told, "in_y")


def test_a_year_grants_twelve_equal_portions_and_no_more(books: Books, year: int) -> None:
    assert books.balance() == 500
    later(books, 14)
    assert (books.balance(), len(books.lots())) == (6000, 12)
    paid = books.value("select sum(paid_amount) from billing.credit_lots")
    assert paid == 25000
    assert books.notices("subscription.credits_granted") == 12
    books.assert_sound()


def test_portions_that_fell_due_while_nothing_ran_come_once(books: Books, year: int) -> None:
    books.age("100 days")
    books.together(8, lambda _n: books.ledger.grant_portions(10))
    assert books.ledger.grant_portions(10) == 0
    assert books.balance() == 2000
    pay(books, stripe.line("il_y", 25000, "small-annual", year, year + YEAR))
    assert books.balance() == 2000
    books.assert_sound()


def test_a_refund_of_all_stops_what_has_not_come(books: Books, year: int) -> None:
    later(books, 2)
    gone(books, 25000)
    assert books.balance() == 0
    later(books, 4)
    assert books.balance() == 0
    books.assert_sound()


def test_a_refund_of_a_part_takes_its_share_of_every_portion(books: Books, year: int) -> None:
    later(books, 1)
    gone(books, 5000)
    assert books.balance() == 800
    later(books, 1)
    assert books.balance() == 1200
    books.assert_sound()


def test_a_dispute_lets_portions_wait_until_it_is_decided(books: Books, year: int) -> None:
    gone(books, 25000, status="needs_response", withdrawn=True)
    later(books, 3)
    assert books.balance() == 0
    gone(books, 25000, status="won", withdrawn=False)
    books.ledger.grant_portions(10)
    assert books.balance() == 2000
    books.assert_sound()


@pytest.mark.parametrize("named", [True, False], ids=["flexible", "classic"])
def test_a_change_of_plan_stops_the_time_that_is_credited(books: Books, year: int, named: bool) -> None:
    later(books, 2)
    books.spend(1400)
    credits = ["il_y"] if named else None
    now = year + YEAR // 4
    back = stripe.line("il_b", -18750, "small-annual", now, year + YEAR, proration=True, credits=credits)
    pay(
        books,
        back,
        stripe.line("il_m", 2500, "small-monthly", now, now + 30 * 86_400),
        name="in_m",
        amount_paid=0,
    )
    assert books.balance() == 600
    later(books, 12)
    assert books.balance() == 600
    states = books.query(
        "select state, count(*) as parts from billing.subscription_portions group by 1 order by 1"
    )
    assert [(row["state"], row["parts"]) for row in states] == [("granted", 3), ("stopped", 9)]
    books.assert_sound()


def test_credits_of_a_portion_end_with_its_interval_where_the_plan_says_so(books: Books) -> None:
    books.query(
        "update billing.subscription_plans set grant_interval = 'month', credits_expire = true where id = 'small_year'"
    )
    start = int(books.value("select extract(epoch from now())"))
    pay(books, stripe.line("il_y", 25000, "small-annual", start, start + YEAR))
    for _ in range(3):
        books.age("31 days")
        books.ledger.expire_lots(10)
        books.ledger.grant_portions(10)
        assert books.balance() == 500
    books.assert_sound()


def test_portions_of_an_odd_sum_lose_nothing(books: Books) -> None:
    books.query(
        "update billing.subscription_plans set grant_interval = 'week', credits_per_cycle = 1000001 where id = 'small'"
    )
    start = int(books.value("select extract(epoch from now())"))
    pay(books, stripe.line("il_y", 2503, "small-monthly", start, start + 30 * 86_400))
    later(books, 2)
    assert round(books.balance() * CREDIT) == 1000001
    books.assert_sound()
