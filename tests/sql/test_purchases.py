"""Payments before they are settled: open_purchase, attach_checkout_session, fail_payment, postpone_payment_check."""

from __future__ import annotations

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 50)


def test_a_purchase_freezes_the_price_of_the_catalogue(books: Books) -> None:
    payment = books.buy(package="credits_250", quantity=2)
    books.query("update billing.credit_packages set amount = 50, credits = 1 where id = 'credits_250'")
    row = books.ledger.get_payment(payment)
    assert row is not None
    assert (row["amount"], row["credits"], row["currency"], row["status"]) == (
        2000,
        500 * CREDIT,
        "usd",
        "open",
    )


def test_opening_a_purchase_again_answers_the_first(books: Books) -> None:
    first = books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_a")
    with books.nothing_moves():
        assert books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_a") == first


@pytest.mark.parametrize(
    ("buyer", "package", "quantity"),
    [("a", "credits_600", 1), ("a", "credits_100", 2), ("a", "credits_600", 7), ("b", "credits_100", 1)],
)
def test_the_id_of_another_order_opens_nothing(books: Books, buyer: str, package: str, quantity: int) -> None:
    books.open("b", 1)
    books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_a")
    with books.refused("idempotency_conflict"):
        books.ledger.open_purchase("p", buyer, package, quantity, "cus_a")


def test_a_payment_follows_the_customer_until_it_has_reached_stripe(books: Books) -> None:
    books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_gone")
    again = books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_new")
    assert again["stripe_customer_id"] == "cus_new"
    books.ledger.attach_checkout_session("p", "cs_1", "https://checkout.stripe.com/1")
    later = books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_third")
    assert later["stripe_customer_id"] == "cus_new"


def test_ten_openings_at_once_make_one_payment(books: Books) -> None:
    answers = books.together(
        10, lambda _: books.ledger.open_purchase("p", "a", "credits_100", 1, "cus_a")["id"]
    )
    assert answers == ["p"] * 10
    assert books.value("select count(*) from billing.payments") == 1


@pytest.mark.parametrize(
    ("who", "package", "quantity", "code"),
    [
        ("nobody", "credits_100", 1, "unknown_account"),
        ("a", "credits_1", 1, "unknown_package"),
        ("a", "credits_100", 0, "invalid_value"),
        ("a", "credits_100", -1, "invalid_value"),
        ("a", "credits_100", 1001, "invalid_value"),
    ],
)
def test_a_purchase_of_what_is_not_sold_is_refused(
    books: Books, who: str, package: str, quantity: int, code: str
) -> None:
    with books.refused(code):
        books.ledger.open_purchase("p", who, package, quantity, "cus_a")


def test_a_package_off_sale_is_not_sold(books: Books) -> None:
    books.query("update billing.credit_packages set active = false where id = 'credits_100'")
    with books.refused("unknown_package"):
        books.buy()


def test_more_than_stripe_takes_at_once_is_refused(books: Books) -> None:
    books.query("update billing.credit_packages set amount = 1000000 where id = 'credits_100'")
    with books.refused("invalid_value"):
        books.buy(quantity=100)


@pytest.mark.parametrize("state", ["open", "processing", "unknown"])
def test_nobody_buys_while_an_automatic_charge_is_under_way(books: Books, state: str) -> None:
    """The account would pay twice for one shortage."""
    books.enable()
    books.use(45)
    topup = str(books.ask()["topup_id"]) if state == "open" else books.charge()
    if state == "unknown":
        books.ledger.finish_topup(topup, "unknown", {})
    with books.refused("topup_in_flight"):
        books.buy()


def test_the_refusal_says_how_long_to_wait_and_that_is_true(books: Books) -> None:
    books.enable()
    books.use(45)
    books.charge()
    books.age("30 seconds")
    with pytest.raises(Refused) as refused:
        books.buy()
    wait = refused.value.extra["retry_after"]
    assert wait in (90, 89)
    assert f"in {wait} seconds" in refused.value.detail
    books.age(f"{wait - 2} seconds")
    with books.refused("topup_in_flight"):
        books.buy()
    books.age("3 seconds")
    assert books.buy()


@pytest.mark.parametrize("state", ["open", "processing", "unknown", "canceling"])
@pytest.mark.parametrize("age", ["2 minutes", "1 hour", "5 days", "14 days"])
def test_a_charge_that_takes_longer_keeps_nobody_from_buying(books: Books, state: str, age: str) -> None:
    """A bank debit takes days, an outage of Stripe hours; the account may still buy, and is charged once for one need."""
    books.enable()
    books.use(45)
    topup = str(books.ask()["topup_id"]) if state == "open" else books.charge()
    if state in ("unknown", "canceling"):
        books.ledger.finish_topup(topup, state, {})
    books.age(age)
    bought = books.buy()
    assert books.ask()["reason"] == "open_topup"
    books.settle(bought)
    assert books.balance() == 105
    with books.refused("insufficient_credits") as refused:
        books.spend(200)
    assert refused.value.extra["topup"] == "waiting"
    books.use(100)
    assert books.ask()["reason"] == "open_topup"
    assert books.settle(str(books.topup(topup)["payment_id"]))["outcome"] == "granted"
    assert books.balance() == 105
    books.assert_sound()


def test_a_charge_that_waits_for_a_person_does_not_keep_the_person_from_buying(books: Books) -> None:
    books.enable()
    books.use(45)
    books.ledger.finish_topup(books.charge(), "action_required", {})
    assert books.buy()


def test_the_checkout_session_is_found_and_checked_from_a_minute_on(books: Books) -> None:
    payment = books.buy()
    books.ledger.attach_checkout_session(payment, "cs_1", "https://stripe.test/1")
    found = books.ledger.find_payment("cs_1")
    assert found is not None
    assert (found["id"], found["checkout_url"]) == (payment, "https://stripe.test/1")
    assert [row["id"] for row in books.ledger.open_checkouts("a")] == [payment]
    assert books.ledger.due_work(10)["payments"] == []
    books.age("61 seconds")
    assert books.ledger.due_work(10)["payments"] == [payment]


def test_checks_are_two_minutes_apart_then_an_hour_and_end_after_thirty_days(books: Books) -> None:
    payment = books.buy()
    books.ledger.attach_checkout_session(payment, "cs_1", "https://stripe.test/1")
    waits = "select extract(epoch from next_check_at - now())::int from billing.payments where isfinite(next_check_at)"
    for age, wait in (("1 minute", 120), ("91 minutes", 3600), ("31 days", None)):
        books.age(age)
        books.ledger.postpone_payment_check(payment)
        left = books.value(waits)
        assert left is None if wait is None else wait - 5 < left <= wait


@pytest.mark.parametrize("status", ["processing", "failed", "canceled"])
def test_a_payment_becomes_what_stripe_says_and_grants_nothing(books: Books, status: str) -> None:
    payment = books.buy()
    assert books.ledger.fail_payment(payment, status, "why")["status"] == status
    with books.nothing_moves():
        books.ledger.fail_payment(payment, "failed" if status == "failed" else status, "why")
    assert books.balance() == 50
    assert (books.ledger.open_checkouts("a") == []) is True
    books.assert_sound()


def test_a_payment_that_succeeded_does_not_fail_any_more(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    with books.nothing_moves():
        assert books.ledger.fail_payment(payment, "failed", "late")["status"] == "succeeded"


def test_what_a_payment_cannot_become_is_refused(books: Books) -> None:
    payment = books.buy()
    for status in ("succeeded", "parked", "open", ""):
        with books.refused("invalid_value"):
            books.ledger.fail_payment(payment, status, None)
    with books.refused("not_found"):
        books.ledger.fail_payment("nobody", "failed", None)
    with books.refused("not_found"):
        books.ledger.attach_checkout_session("nobody", "cs", "u")


def test_an_account_has_one_customer_and_a_customer_one_account(books: Books) -> None:
    books.open("b")
    assert books.ledger.link_customer("a", "cus_1") == "cus_1"
    with books.nothing_moves():
        assert books.ledger.link_customer("a", "cus_2") == "cus_1"
    with books.refused("state_conflict"):
        books.ledger.link_customer("b", "cus_1")
    with books.refused("unknown_account"):
        books.ledger.link_customer("nobody", "cus_3")


def test_a_deleted_customer_is_replaced_by_a_new_one(books: Books) -> None:
    books.ledger.link_customer("a", "cus_1")
    assert books.ledger.mark_customer_deleted("cus_1") == "a"
    assert books.ledger.mark_customer_deleted("cus_unknown") is None
    assert books.ledger.link_customer("a", "cus_2") == "cus_2"


def test_a_card_needs_a_customer(books: Books) -> None:
    with books.refused("not_found"):
        books.ledger.set_default_payment_method("a", "pm_1", {}, "owner")


def test_payments_page_newest_first_and_each_once(books: Books) -> None:
    made = [books.buy() for _ in range(5)]
    first = books.ledger.list_payments("a", 3, None)
    rest = books.ledger.list_payments("a", 3, first["next_cursor"])
    assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]
    assert rest["next_cursor"] is None
