"""Fees and taxes: what is charged is more than the credits cost, and only the credits' price is the credits' price."""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books
from tests.sql.test_revenue import this_month, told


def rule(books: Books, rule_id: str, kind: str = "fee", **more: Any) -> dict[str, Any]:
    return books.ledger.set_fee_rule({"id": rule_id, "kind": kind, "label": rule_id.title()} | more, "dana")


@pytest.fixture
def rules(books: Books) -> None:
    """2.9 % + 30 and then 20 % tax: five dollars become (500 + 45) * 1.2 = 654."""
    books.open("a")
    rule(books, "card", percent="2.9", fixed=30)
    rule(books, "vat", "tax", percent="20")


def lines(payment: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(line["kind"], line["label"], line["amount"]) for line in payment["lines"]]


def payment(books: Books, payment_id: str) -> dict[str, Any]:
    found = books.ledger.get_payment(payment_id)
    assert found is not None
    return dict(found)


def test_a_purchase_is_charged_with_fees_and_then_taxes_on_both(books: Books, rules: None) -> None:
    bought = payment(books, books.buy())
    assert lines(bought) == [("credits", "Credits", 500), ("fee", "Card", 45), ("tax", "Vat", 109)]
    assert (bought["amount"], bought["net_amount"]) == (654, 500)


def test_without_rules_the_charge_is_the_price(books: Books) -> None:
    books.open("a")
    bought = payment(books, books.buy())
    assert (bought["amount"], bought["net_amount"], lines(bought)) == (
        500,
        500,
        [("credits", "Credits", 500)],
    )


def test_the_lot_is_worth_its_price_and_revenue_counts_that(books: Books, rules: None) -> None:
    books.settle(books.buy())
    assert books.value("select paid_amount from billing.credit_lots where kind = 'purchase'") == 500
    (dollars,) = books.ledger.get_revenue(this_month(books), None)["currencies"]
    assert (dollars["sold"], dollars["closing"]) == (500, 500)
    books.assert_sound()


@pytest.mark.parametrize("received", [500, 545, 653, 655])
def test_only_the_whole_charge_settles_it(books: Books, rules: None, received: int) -> None:
    outcome = books.settle(books.buy(), amount_received=received)
    assert (outcome["outcome"], outcome["reason"], books.balance()) == ("parked", "amount_mismatch", 0)


@pytest.mark.parametrize(("refunded", "left"), [(654, 0), (327, 50), (109, 83.333333), (1, 99.847095)])
def test_t11_a_refund_takes_the_share_of_what_was_charged(
    books: Books, rules: None, refunded: int, left: float
) -> None:
    """Fees never over-deduct: half of the gross is half of the credits, and all of it is all of them."""
    bought = books.buy()
    books.settle(bought)
    told(books, bought, refunded)
    assert books.balance() == pytest.approx(left, abs=1e-6)
    books.assert_sound()


def test_partial_refunds_up_to_the_gross_take_exactly_the_grant(books: Books, rules: None) -> None:
    bought = books.buy()
    books.settle(bought)
    for refunded in (100, 333, 600, 654):
        told(books, bought, refunded)
    assert books.balance() == 0
    books.assert_sound()


@pytest.mark.parametrize(
    ("percent", "net", "fee"), [("2.5", 500, 13), ("0.1", 500, 1), ("0.0999", 500, 0), ("1.25", 1000, 13)]
)
def test_each_line_is_rounded_half_up_and_one_of_nothing_is_left_out(
    books: Books, percent: str, net: int, fee: int
) -> None:
    books.open("a")
    rule(books, "card", percent=percent)
    bought = payment(books, books.buy(quantity=net // 500))
    assert lines(bought)[1:] == ([("fee", "Card", fee)] if fee else [])


def test_rules_apply_by_purpose_currency_and_switch(books: Books) -> None:
    books.open("a")
    rule(books, "b-euro", fixed=1, currency="eur")
    rule(books, "c-topup", fixed=2, applies_to="topup")
    rule(books, "d-off", fixed=4, active=False)
    rule(books, "e-dollar", fixed=8, currency="usd", applies_to="purchase")
    assert payment(books, books.buy())["amount"] == 508
    books.enable()
    assert books.topup(books.charge())["amount"] == 502


def test_open_charges_keep_their_lines_when_rules_change(books: Books, rules: None) -> None:
    bought = books.buy()
    before = payment(books, bought)
    books.ledger.remove_fee_rule("vat", "dana")
    rule(books, "card", percent="50")
    assert payment(books, bought) == before
    assert books.ledger.open_purchase(bought, "a", "credits_100", 1, "cus_a")["lines"] == before["lines"]
    assert books.settle(bought)["outcome"] == "granted"
    books.assert_sound()


def test_a_quantity_whose_charge_is_more_than_stripe_takes_is_refused(books: Books) -> None:
    books.open("a")
    books.query("update billing.credit_packages set amount = 99999999 where id = 'credits_100'")
    books.buy()
    rule(books, "card", fixed=1)
    with books.refused("invalid_value"):
        books.buy()


# Auto top-up


def test_caps_count_what_is_charged(books: Books, rules: None) -> None:
    """Credits for 1,666 cents would fit into the cap by themselves; with fees and tax only two hundred do."""
    books.use(250)
    books.enable(caps={"day": 1700, "month": 5000, "currency": "usd"})
    topup = books.topup(books.charge())
    paid = payment(books, str(topup["payment_id"]))
    assert (paid["amount"], paid["net_amount"], paid["credits"]) == (1271, 1000, 200 * CREDIT)
    assert books.ledger.get_auto_topup("a")["spent"]["day"] == 1271
    books.settle(paid["id"])
    assert books.ask()["reason"] == "cap_day"
    books.assert_sound()


@pytest.mark.parametrize("seed", range(40))
def test_a_charge_that_is_sized_by_a_cap_never_passes_it_and_leaves_no_room(books: Books, seed: int) -> None:
    chance = random.Random(seed)
    books.open("a")
    percents = [chance.choice(["0", "0.5", "2.9", "7.7777"]), chance.choice(["0", "8.25", "19", "100"])]
    fixed = [chance.choice([0, 1, 30]), chance.choice([0, 3])]
    for name, kind, percent, more in zip(("card", "vat"), ("fee", "tax"), percents, fixed, strict=True):
        if percent != "0" or more:
            rule(books, name, kind, percent=percent, fixed=more)

    def gross(net: int) -> int:
        fee = floor(net * Fraction(percents[0]) / 100 + Fraction(1, 2)) + fixed[0]
        return net + fee + floor((net + fee) * Fraction(percents[1]) / 100 + Fraction(1, 2)) + fixed[1]

    room = chance.randint(60, 3000)
    net = books.value("select billing._net_within(%s, 'usd', 'topup')", room)
    assert gross(net) <= room < gross(net + 1) or (net == 0 and gross(1) > room)
    total = "select billing._lines_total(billing._charge_lines(%s, 'usd', 'topup'))"
    assert books.value(total, net) == gross(net)


def test_settings_whose_charge_with_fees_passes_a_cap_are_refused(books: Books, rules: None) -> None:
    for cap, refused in ((653, True), (654, False)):
        changes = {"caps": {"day": cap, "month": 5000, "currency": "usd"}}
        if refused:
            with books.refused("invalid_auto_topup"):
                books.enable_raw(**changes)
        else:
            books.enable_raw(**changes)


def test_the_consent_preview_says_what_one_charge_is(books: Books, rules: None) -> None:
    assert books.ledger.get_auto_topup("a")["charge"] is None
    charge = books.enable_raw()["charge"]
    assert (charge["net_amount"], charge["amount"], charge["currency"]) == (500, 654, "usd")
    assert lines(charge) == [("credits", "Credits", 500), ("fee", "Card", 45), ("tax", "Vat", 109)]


def test_packages_say_what_is_charged(books: Books, rules: None) -> None:
    package = next(row for row in books.ledger.list_packages() if row["id"] == "credits_100")
    assert (package["amount"], package["total"], len(package["lines"])) == (500, 654, 3)


# Rules


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": "-1"},
        {"percent": "100.0001"},
        {"percent": "1.00001"},
        {"percent": "NaN"},
        {"percent": "0", "fixed": 0},
        {"fixed": -1},
        {"fixed": 100_000_000},
        {"kind": "tip"},
        {"applies_to": "gift"},
        {"label": ""},
        {"label": None},
        {"currency": "US"},
        {"id": ""},
        {"id": None},
        {"id": "a b"},
    ],
)
def test_a_wrong_rule_is_refused(books: Books, wrong: dict[str, Any]) -> None:
    with books.refused("invalid_value"):
        rule(books, "card", **({"percent": "1"} | wrong))


def test_changes_of_rules_are_audited_and_repeats_are_not(books: Books) -> None:
    for _ in range(2):
        rule(books, "card", percent="2.9")
    rule(books, "card", percent="3")
    assert [row["percent"] for row in books.ledger.list_fee_rules()] == ["3"]
    books.ledger.remove_fee_rule("card", "dana")
    with books.refused("not_found"):
        books.ledger.remove_fee_rule("card", "dana")
    rows = books.query(
        "select actor, action, subject from billing.audit_log where action like 'fee_rule%%' order by id"
    )
    assert [(row["actor"], row["action"], row["subject"]) for row in rows] == [
        ("dana", "fee_rule.set", "card"),
        ("dana", "fee_rule.set", "card"),
        ("dana", "fee_rule.removed", "card"),
    ]


def test_rows_of_the_version_before_have_only_a_price(books: Books) -> None:
    books.open("a")
    books.query(
        "insert into billing.payments (id, account_id, purpose, package_id, credits, amount, currency, stripe_customer_id)"
        " values ('old', 'a', 'purchase', 'credits_100', 100000000, 500, 'usd', 'cus_a')"
    )
    assert (payment(books, "old")["net_amount"], lines(payment(books, "old"))) == (
        500,
        [("credits", "Credits", 500)],
    )
    books.settle("old")
    assert books.value("select paid_amount from billing.credit_lots where source = 'payment:old'") == 500
    books.assert_sound()
