"""Promotion codes on purchases: what Stripe took off is matched, kept and shown; the lot's price is what was paid."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")
    books.query("update billing.credit_packages set allow_promotion_codes = true where id = 'credits_250'")


def buy(books: Books, package: str = "credits_250", quantity: int = 1) -> str:
    return books.buy(package=package, quantity=quantity)


def settle(books: Books, payment: str, taken_off: int, **facts: Any) -> dict[str, Any]:
    """As a Checkout Session says it."""
    ordered = books.ledger.get_payment(payment)["amount"]  # type: ignore[index]
    paid = ordered - taken_off
    return books.settle(
        payment, **{"amount_received": paid, "amount_total": paid, "discount": taken_off} | facts
    )


def row(books: Books, payment: str) -> dict[str, Any]:
    return books.query(
        "select status, amount, net_amount, discount, lines, stripe_payment_intent_id from billing.payments where id = %s",
        payment,
    )[0]


def lot(books: Books, payment: str) -> dict[str, Any]:
    return books.query(
        "select kind::text, granted, paid_amount, is_paid from billing.credit_lots where source = %s",
        f"payment:{payment}",
    )[0]


@pytest.mark.parametrize(("discount", "net"), [(200, 800), (1, 999), (333, 667), (999, 1)])
def test_a_discount_lowers_what_is_paid_and_not_the_credits(books: Books, discount: int, net: int) -> None:
    payment = buy(books)
    assert settle(books, payment, discount)["outcome"] == "granted"
    found = row(books, payment)
    assert (found["amount"], found["discount"], found["net_amount"]) == (net, discount, net)
    assert found["lines"] == [
        {"kind": "credits", "label": "Credits", "amount": 1000},
        {"kind": "discount", "label": "Discount", "amount": -discount},
    ]
    assert (lot(books, payment)["granted"], lot(books, payment)["paid_amount"]) == (250 * CREDIT, net)
    # Said again, by the PaymentIntent alone and by the Session.
    with books.nothing_moves():
        assert books.settle(payment)["outcome"] == "already"
        assert books.settle(payment, discount=discount, amount_total=net)["outcome"] == "already"
    books.assert_sound()


def test_fees_and_taxes_bear_their_share_of_the_discount(books: Books) -> None:
    books.ledger.set_fee_rule({"id": "vat", "kind": "tax", "label": "VAT", "percent": "20"}, "dana")
    payment = buy(books)
    settle(books, payment, 300)
    assert (row(books, payment)["amount"], row(books, payment)["net_amount"]) == (900, 750)
    assert sum(line["amount"] for line in row(books, payment)["lines"]) == 900
    assert lot(books, payment)["paid_amount"] == 750
    books.assert_sound()


def test_a_code_that_takes_everything_off_grants_once_a_lot_that_cost_nothing(books: Books) -> None:
    payment = buy(books)
    facts = {"payment_intent": None, "charge": None, "checkout_session": "cs_1"}
    assert settle(books, payment, 1000, **facts)["outcome"] == "granted"
    with books.nothing_moves():
        again = books.settle(payment, amount_received=0, amount_total=0, discount=1000, **facts)
    assert again["outcome"] == "already"
    assert (row(books, payment)["amount"], row(books, payment)["stripe_payment_intent_id"]) == (0, None)
    found = lot(books, payment)
    assert (found["kind"], found["granted"], found["paid_amount"], found["is_paid"]) == (
        "purchase", 250 * CREDIT, 0, False,
    )  # fmt: skip
    month = books.value("select date_trunc('month', now(), 'UTC')::date")
    assert books.ledger.get_revenue(month, "a")["currencies"] == []
    books.assert_sound()


@pytest.mark.parametrize(
    "facts",
    [
        {"amount_received": 700},  # more was taken off than Stripe says
        {"amount_received": 900},
        {"amount_received": 1000},
        {"amount_received": 800, "discount": 0},
        {"amount_received": 800, "discount": None},
        {"amount_received": 1200, "discount": -200, "amount_total": 1200},
        {"amount_received": 800, "amount_total": 750},
        {"amount_received": 0, "discount": 200, "amount_total": 0},
    ],
)
def test_a_total_that_fits_no_discount_is_parked(books: Books, facts: dict[str, Any]) -> None:
    payment = buy(books)
    outcome = settle(books, payment, 200, **facts)
    assert (outcome["outcome"], outcome["reason"]) == ("parked", "amount_mismatch")
    assert (row(books, payment)["status"], row(books, payment)["amount"], books.balance()) == (
        "parked",
        1000,
        0,
    )
    books.assert_sound()


def test_a_discount_in_another_currency_is_parked(books: Books) -> None:
    payment = buy(books)
    assert settle(books, payment, 200, currency="eur")["reason"] == "currency_mismatch"
    assert (row(books, payment)["discount"], books.balance()) == (0, 0)


@pytest.mark.parametrize("discount", [1, 200, 500])
def test_without_the_setting_a_discount_is_parked_as_before(books: Books, discount: int) -> None:
    payment = buy(books, "credits_100")
    outcome = settle(books, payment, discount)
    assert (outcome["outcome"], outcome["reason"]) == ("parked", "amount_mismatch")
    assert (row(books, payment)["discount"], books.balance()) == (0, 0)


def test_the_setting_counts_as_it_was_when_the_order_was_opened(books: Books) -> None:
    allowed, refused = buy(books), buy(books, "credits_100")
    books.query("update billing.credit_packages set allow_promotion_codes = not allow_promotion_codes")
    assert settle(books, allowed, 200)["outcome"] == "granted"
    assert settle(books, refused, 200)["outcome"] == "parked"
    books.assert_sound()


def test_without_a_code_nothing_changes(books: Books) -> None:
    payment = buy(books, quantity=3)
    assert settle(books, payment, 0)["outcome"] == "granted"
    assert (row(books, payment)["amount"], row(books, payment)["discount"]) == (3000, 0)
    assert len(row(books, payment)["lines"]) == 1
    books.assert_sound()


@pytest.mark.parametrize(("refunded", "left"), [(800, 0), (400, 125), (200, 187.5), (1, 249.6875)])
def test_a_refund_takes_credits_by_its_share_of_what_was_paid(
    books: Books, refunded: int, left: float
) -> None:
    payment = buy(books)
    settle(books, payment, 200)
    version = books.ledger.get_reversals(payment)["version"]
    refund = {
        "id": "re_1",
        "amount": refunded,
        "status": "succeeded",
        "reason": None,
        "created": 1_790_000_000,
    }
    books.ledger.reverse_payment(payment, version, {"refunds": [refund], "disputes": []})
    assert books.balance() == left
    books.assert_sound()


def test_revenue_and_lists_say_what_was_paid_and_what_was_taken_off(books: Books) -> None:
    payment = buy(books)
    settle(books, payment, 200)
    month = books.value("select date_trunc('month', now(), 'UTC')::date")
    (usd,) = books.ledger.get_revenue(month, "a")["currencies"]
    assert (usd["sold"], usd["closing"]) == (800, 800)
    listed = books.ledger.list_payments("a", 1, None)["data"][0]
    charge = books.ledger.list_charges("a", 1, None)["data"][0]
    assert [(found["amount"], found["discount"]) for found in (listed, charge)] == [(800, 200)] * 2
    entry = books.ledger.list_transactions("a", 1, None)["data"][0]
    assert (entry["payment"]["amount"], entry["payment"]["discount"]) == (800, 200)


def test_three_decimals_and_no_decimals(books: Books) -> None:
    for name, amount, currency, discount in (("dinar", 9200, "kwd", 920), ("yen", 1051, "jpy", 51)):
        books.query(
            "insert into billing.credit_packages (id, name, credits, amount, currency, allow_promotion_codes)"
            " values (%s, %s, 1000000, %s, %s, true)", name, name, amount, currency,
        )  # fmt: skip
        payment = buy(books, name)
        assert settle(books, payment, discount)["outcome"] == "granted"
        assert lot(books, payment)["paid_amount"] == amount - discount
    books.assert_sound()


def test_the_statement_says_what_was_paid_currency_by_currency(books: Books) -> None:
    books.query(
        "insert into billing.credit_packages (id, name, credits, amount, currency, allow_promotion_codes)"
        " values ('dinar', 'Dinar', 1000000, 9200, 'kwd', true)"
    )
    for package, taken_off in (("credits_250", 200), ("credits_250", 0), ("dinar", 920)):
        settle(books, buy(books, package), taken_off)
    month = books.value("select date_trunc('month', now(), 'UTC')::date")
    assert books.ledger.get_statement("a", month)["paid"] == [
        {"kind": "purchase", "currency": "kwd", "payments": 1, "charged": 8280, "discount": 920},
        {"kind": "purchase", "currency": "usd", "payments": 2, "charged": 1800, "discount": 200},
    ]
    entries = books.ledger.list_statement_entries("a", month, 0, 10)
    assert [entry["paid"] for entry in entries] == [
        {"amount": 800, "discount": 200, "currency": "usd"},
        {"amount": 1000, "discount": 0, "currency": "usd"},
        {"amount": 8280, "discount": 920, "currency": "kwd"},
    ]
