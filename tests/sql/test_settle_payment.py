"""billing.settle_payment: the one grant path. One payment, one grant, for ever; a difference grants nothing."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")
    books.open("b")
    books.ledger.link_customer("a", "cus_a")


def test_a_payment_grants_what_its_row_says(books: Books) -> None:
    payment = books.buy(quantity=3)
    answer = books.settle(payment, receipt_url="https://stripe.test/r", occurred_at=1_700_000_000)
    assert (answer["outcome"], answer["reason"], answer["account_id"]) == ("granted", None, "a")
    lot = books.query("select kind, source, granted, paid_amount, currency from billing.credit_lots")[0]
    assert lot | {"kind": "purchase"} == {
        "kind": "purchase",
        "source": f"payment:{payment}",
        "granted": 300 * CREDIT,
        "paid_amount": 1500,
        "currency": "usd",
    }
    row = books.ledger.get_payment(payment)
    assert row is not None
    assert (row["status"], row["receipt_url"]) == ("succeeded", "https://stripe.test/r")
    assert row["paid_at"] is not None
    assert row["paid_at"].startswith("2023-11-14T22:13:20")
    books.assert_sound()


def test_settling_again_grants_nothing(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    with books.nothing_moves():
        assert books.settle(payment)["outcome"] == "already"
    assert books.balance() == 100


def test_twenty_callers_at_once_grant_once(books: Books) -> None:
    payment = books.buy()
    facts = books.facts(payment)
    answers = books.together(20, lambda _: books.ledger.settle_payment(payment, facts)["outcome"])
    assert sorted(map(str, answers)) == ["already"] * 19 + ["granted"]
    assert books.balance() == 100
    books.assert_sound()


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["processing", "failed", "canceled", "succeeded"]))
)
def test_events_in_any_order_end_in_the_same_books(books: Books, order: tuple[str, ...]) -> None:
    payment = books.buy()
    for state in [*order, *order]:
        if state == "succeeded":
            books.settle(payment)
        else:
            books.ledger.fail_payment(payment, state, "because")
    row = books.ledger.get_payment(payment)
    assert row is not None
    assert row["status"] == "succeeded"
    assert row["reason"] is None
    assert books.balance() == 100
    books.assert_sound()


COMPLAINTS: dict[str, dict[str, Any]] = {
    "customer_mismatch": {"customer": "cus_b"},
    "currency_mismatch": {"currency": "eur"},
    "amount_mismatch": {"amount_received": 499},
    "payment_intent_mismatch": {"payment_intent": "pi_other"},
    "checkout_session_mismatch": {"checkout_session": "cs_other"},
    "payment_intent_of_another_payment": {"payment_intent": "pi_taken"},
    "checkout_session_of_another_payment": {"checkout_session": "cs_taken"},
}


def complained(books: Books, reason: str) -> str:
    """A purchase beside another one of account b."""
    books.ledger.link_customer("b", "cus_b")
    other = books.buy("b")
    books.settle(other, payment_intent="pi_taken", checkout_session="cs_taken")
    payment = books.buy()
    if reason == "payment_intent_mismatch":
        books.query("update billing.payments set stripe_payment_intent_id = 'pi_own' where id = %s", payment)
    if reason == "checkout_session_mismatch":
        books.ledger.attach_checkout_session(payment, "cs_own", "https://stripe.test")
    return payment


@pytest.mark.parametrize("reason", COMPLAINTS)
def test_a_difference_parks_the_payment_for_a_person_and_grants_nothing(books: Books, reason: str) -> None:
    payment = complained(books, reason)
    money = books.query("select * from billing.credit_transactions order by id")
    answer = books.settle(payment, **COMPLAINTS[reason])
    assert (answer["outcome"], answer["reason"]) == ("parked", reason)
    row = books.ledger.get_payment(payment)
    assert row is not None
    assert (row["status"], row["reason"]) == ("parked", reason)
    assert books.query("select * from billing.credit_transactions order by id") == money
    assert books.balance() == 0
    assert books.notices("payment.parked") == 1
    assert books.ledger.operations_summary()["payments_parked"] == 1
    books.settle(payment, **COMPLAINTS[reason])
    assert books.notices("payment.parked") == 1
    books.assert_sound()


@pytest.mark.parametrize("missing", ["customer", "amount_received", "currency"])
def test_facts_with_a_gap_park_too(books: Books, missing: str) -> None:
    payment = books.buy()
    assert books.settle(payment, **{missing: None})["outcome"] == "parked"
    assert books.balance() == 0


def test_a_parked_payment_is_neither_failed_nor_forgotten(books: Books) -> None:
    payment = books.buy()
    books.settle(payment, amount_received=1)
    with books.nothing_moves():
        books.ledger.fail_payment(payment, "failed", "late")


def test_a_parked_payment_is_granted_once_when_the_facts_are_put_right(books: Books) -> None:
    payment = books.buy()
    books.settle(payment, amount_received=1)
    assert [books.settle(payment)["outcome"] for _ in range(3)] == ["granted", "already", "already"]
    assert books.balance() == 100
    books.assert_sound()


def test_a_difference_after_the_grant_is_announced_and_the_grant_stays(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    assert books.settle(payment, amount_received=700)["outcome"] == "parked"
    assert books.balance() == 100
    row = books.ledger.get_payment(payment)
    assert row is not None
    assert row["status"] == "succeeded"
    assert books.notices("payment.parked") == 1
    books.assert_sound()


def test_an_unknown_payment_is_told_and_moves_nothing(books: Books) -> None:
    with books.nothing_moves():
        answer = books.ledger.settle_payment("pay_of_nobody", {"customer": "cus_a"})
    assert (answer["outcome"], answer["reason"]) == ("parked", "unknown_payment")


def test_a_purchase_pays_a_debt_first(books: Books) -> None:
    books.use(30)
    books.settle(books.buy())
    assert books.balance() == 70
    books.assert_sound()


@pytest.mark.parametrize(("saved", "kept"), [(True, "pm_new"), (False, None)])
def test_the_card_of_a_purchase_is_kept_only_when_it_was_saved(
    books: Books, saved: bool, kept: str | None
) -> None:
    books.settle(books.buy(), payment_method="pm_new", saved=saved, card={"brand": "visa"})
    customer = books.ledger.get_customer("a")
    assert customer is not None
    assert customer["default_payment_method"] == kept


def test_the_card_of_a_purchase_does_not_replace_one_that_works(books: Books) -> None:
    books.ledger.set_default_payment_method("a", "pm_old", {}, "owner")
    books.settle(books.buy(), payment_method="pm_new", saved=True, card={"brand": "visa"})
    customer = books.ledger.get_customer("a")
    assert customer is not None
    assert customer["default_payment_method"] == "pm_old"
