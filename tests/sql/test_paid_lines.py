"""Refunds of changed plans, and lines that are paid and of which nothing says what they grant."""

from __future__ import annotations

from typing import Any

import pytest

from tests import stripe_shapes as stripe
from tests.sql.books import CREDIT, Books
from tests.sql.test_invoice_lines import account, cycle, first, half, month_as_recorded, pay, rest, unused

__all__ = ["account"]

# Refunds


def test_a_refund_of_a_change_of_plan_takes_its_share_of_what_was_paid_and_leaves_what_the_credit_paid(
    books: Books,
) -> None:
    """250 dollars for the year, 25 of them by the month's credit: 225 refunded are nine tenths."""
    month_as_recorded(books)
    pay(books, stripe.CHANGE_OF_INTERVAL)
    invoice_id = stripe.CHANGE_OF_INTERVAL["id"]
    version = books.ledger.get_reversals(None, invoice_id)["version"]
    gone = {"id": "re_1", "amount": 22500, "status": "succeeded", "reason": None, "created": 1}
    books.ledger.reverse_payment(None, version, {"refunds": [gone], "disputes": []}, invoice_id)
    assert books.balance() == 600
    books.assert_sound()


def test_credits_that_were_refunded_are_not_taken_back_by_a_change_too(books: Books) -> None:
    first(books)
    version = books.ledger.get_reversals(None, "in_0")["version"]
    gone = {"id": "re_1", "amount": 2500, "status": "succeeded", "reason": None, "created": 1}
    books.ledger.reverse_payment(None, version, {"refunds": [gone], "disputes": []}, "in_0")
    half(books, unused(), rest(3950, "price_pro"))
    assert books.lots() == {"il_0": 0, "il_rest": 1250}
    books.assert_sound()


# Paid, and nothing says what it grants


def stray(reason: str) -> dict[str, Any]:
    line = cycle()
    details = line["parent"]["subscription_item_details"]
    if reason == "no_subscription":
        details["subscription"] = None
    elif reason == "another_subscription":
        details["subscription"] = "sub_other"
    elif reason == "plan_is_free":
        line["pricing"]["price_details"] = {"price": "price_f", "product": "refill_plan_free"}
    elif reason == "price_is_metered":
        line["pricing"]["price_details"] = {"price": "price_metered", "product": "refill_plan_starter"}
        line["quantity"] = 2500
    return line


@pytest.mark.parametrize(
    "reason",
    ["no_subscription", "another_subscription", "plan_is_free", "price_is_metered", "plan_grants_nothing"],
)
def test_a_line_of_a_plan_that_is_paid_and_grants_nothing_is_parked_and_announced_once(
    books: Books, reason: str
) -> None:
    if reason == "plan_grants_nothing":
        books.query("update billing.subscription_plans set credits_per_cycle = 0 where id = 'small'")
    for _ in range(2):
        assert pay(books, stripe.invoice("in_0", stray(reason)))["outcome"] == "unexplained"
    row = books.query("select outcome, reason from billing.invoice_lines")
    assert row == [{"outcome": "parked", "reason": reason}]
    assert (books.balance(), books.notices("operations.paid_without_credits")) == (0, 1)
    books.assert_sound()


def test_a_parked_line_grants_once_the_catalogue_says_what(books: Books) -> None:
    books.query("update billing.subscription_plans set credits_per_cycle = 0 where id = 'small'")
    first(books)
    assert books.balance() == 0
    books.query("update billing.subscription_plans set credits_per_cycle = 500000000 where id = 'small'")
    for _ in range(2):
        first(books)
    assert books.lots() == {"il_0": 500}
    books.assert_sound()


def test_a_grant_is_rounded_down_to_the_micro_credit(books: Books) -> None:
    half(books, rest(1, "price_pro"))
    assert books.value("select granted from billing.credit_lots") == 2500 * CREDIT // 7900
    books.assert_sound()


def test_credits_that_a_change_of_plan_takes_back_charge_no_card_until_the_next_spend(books: Books) -> None:
    first(books)
    books.ledger.set_default_payment_method("a", "pm_1", {"brand": "visa"}, "test")
    books.enable(threshold=300 * CREDIT)
    books.spend(150)
    half(books, unused(), total=-1250, amount_paid=0)
    assert (books.balance(), books.ask(demand=False)["reason"]) == (100, "next_spend")
    books.spend(1)
    assert books.ask(demand=False)["topup_id"]
    books.assert_sound()
