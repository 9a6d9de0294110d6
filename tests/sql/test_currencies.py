"""Money in every currency: what may be stored, what one charge may be, and in which currency an account is charged."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from shared.currencies import CURRENCIES
from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def sell(books: Books, package_id: str, amount: int, currency: str, credits: int = 100, **more: Any) -> None:
    books.query(
        "insert into billing.credit_packages (id, name, credits, amount, currency, active) values (%s, %s, %s, %s, %s, %s)",
        package_id, package_id, credits * CREDIT, amount, currency, more.get("active", True),
    )  # fmt: skip


def only(books: Books, amount: int, currency: str, credits: int = 100) -> None:
    """The catalogue is one package."""
    books.query("update billing.credit_packages set active = false")
    sell(books, "only", amount, currency, credits)


def pay(books: Books, package: str) -> str:
    payment = books.buy(package=package)
    books.settle(payment)
    return payment


def enable(books: Books, **changes: Any) -> dict[str, Any]:
    wanted = {"enabled": True, "threshold": 10 * CREDIT, "credits": 100 * CREDIT, "text_version": "v1"}
    wanted = {name: value for name, value in (wanted | changes).items() if value is not None}
    return books.ledger.set_auto_topup("a", wanted, "owner")


def test_sql_and_python_have_one_table(books: Books) -> None:
    rows = books.query("select * from billing.currencies order by code")
    assert [tuple(row.values())[:8] for row in rows] == [tuple(row) for row in CURRENCIES.values()]
    assert {row["own_minimum"] for row in rows} == {None}


def card(books: Books) -> None:
    books.ledger.link_customer("a", "cus_a")
    books.ledger.set_default_payment_method("a", "pm_1", {"brand": "visa"}, "test")


# What may be stored


@pytest.mark.parametrize(
    ("amount", "currency", "sentence"),
    [
        (49, "usd", "0.49 USD is too little: Stripe charges 0.50 USD or more"),
        (29, "gbp", "0.29 GBP is too little: Stripe charges 0.30 GBP or more"),
        (200, "hkd", "2.00 HKD is too little: Stripe charges 4.00 HKD or more"),
        (17499, "huf", "174.99 HUF is too little"),
        (49, "jpy", "49 JPY is too little: Stripe charges 50 JPY or more"),
        (9205, "kwd", "9.205 KWD cannot be charged: amounts in kwd are multiples of 0.010 KWD"),
        (12001, "bhd", "12.001 BHD cannot be charged"),
        (150050, "isk", "1500.50 ISK cannot be charged: amounts in isk are multiples of 1.00 ISK"),
        (20_000_001, "ugx", "200000.01 UGX cannot be charged"),
        (100_000_000, "usd", "1000000.00 USD is too much: Stripe takes at most 999999.99 USD at once"),
        (500, "xyz", "Stripe takes no charges in xyz"),
    ],
)
def test_hand_written_sql_cannot_store_a_package_or_plan_that_stripe_refuses(
    books: Books, amount: int, currency: str, sentence: str
) -> None:
    with books.nothing_moves(), pytest.raises(psycopg.DatabaseError, match="Package bad: ") as refusal:
        sell(books, "bad", amount, currency)
    assert (refusal.value.sqlstate, sentence in str(refusal.value)) == ("RF008", True)
    with books.nothing_moves(), pytest.raises(psycopg.DatabaseError, match="Plan bad: "):
        books.query(
            "insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval)"
            " values ('bad', 'Bad', 1, %s, %s, 'month')", amount, currency,
        )  # fmt: skip
    with books.nothing_moves(), pytest.raises(psycopg.DatabaseError):
        books.query("update billing.credit_packages set amount = %s, currency = %s where id = 'credits_100'",
                    amount, currency)  # fmt: skip
    sell(books, "off", amount, currency, active=False)  # not on sale: it is never charged


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (30, "gbp"),
        (400, "hkd"),
        (50, "jpy"),
        (9200, "kwd"),
        (200_000, "ugx"),
        (150_000_000_00, "idr"),
        (17500, "huf"),
    ],
)
def test_what_stripe_takes_is_sold_and_bought(books: Books, amount: int, currency: str) -> None:
    sell(books, "good", amount, currency)
    payment = books.ledger.get_payment(pay(books, "good"))
    assert payment is not None
    assert (payment["amount"], payment["currency"], payment["status"]) == (amount, currency, "succeeded")
    books.assert_sound()


def test_a_minimum_that_rose_keeps_nothing_from_being_switched_off(books: Books) -> None:
    enable(books)
    books.query("update billing.currencies set own_minimum = 1200 where code = 'usd'")
    assert [row["invariant"] for row in books.ledger.check_invariants()] == ["check_currency_rules"]
    with pytest.raises(psycopg.DatabaseError, match=r"Stripe charges 12\.00 USD or more"):
        books.query("update billing.credit_packages set name = 'Same' where id = 'credits_100'")
    with books.refused("invalid_value") as refusal:
        books.ledger.quote_purchase("a", "credits_100", 1)
    assert "Stripe charges 12.00 USD or more" in refusal.value.detail
    assert books.ledger.quote_purchase("a", "credits_100", 3)["amount"] == 1500
    books.query("update billing.credit_packages set active = false where amount < 1200")
    assert not books.ledger.set_auto_topup("a", {"enabled": False}, "owner")["enabled"]
    books.assert_sound()


def test_settings_that_can_never_be_charged_cannot_be_stored_by_hand(books: Books) -> None:
    enable(books)
    for change in (
        "credits = 1",
        "currency = 'hkd', cap_day = 100, cap_month = 100",
        "cap_day = 1",
        "currency = 'xyz'",
    ):
        with books.nothing_moves(), pytest.raises(psycopg.DatabaseError, match="Auto top-up: "):
            books.query(f"update billing.auto_topup_settings set {change}")


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"fixed": 5, "currency": "kwd"}, "fixed amounts in kwd are multiples of 0.010 KWD"),
        ({"fixed": 50, "currency": "isk"}, "fixed amounts in isk are multiples of 1.00 ISK"),
        ({"fixed": 30}, "a fixed amount needs a currency, since packages are sold in jpy, usd"),
        ({"fixed": 30, "currency": "xyz"}, "Stripe takes no charges in xyz"),
    ],
)
def test_a_fee_that_no_charge_can_carry_is_refused(books: Books, rule: dict[str, Any], sentence: str) -> None:
    sell(books, "yen", 500, "jpy")
    with books.refused("invalid_value") as refusal:
        books.ledger.set_fee_rule({"id": "fee", "kind": "fee", "label": "Fee"} | rule, "dana")
    assert sentence in refusal.value.detail


@pytest.mark.parametrize(
    ("currency", "amount", "lines", "total"),
    [("kwd", 9200, [9200, 270, 1890], 11360), ("isk", 150000, [150000, 4400, 30900], 185300),
     ("jpy", 501, [501, 15, 103], 619), ("bhd", 250, [250, 10, 50], 310)],
)  # fmt: skip
def test_each_line_of_a_charge_is_what_the_currency_can_charge(
    books: Books, currency: str, amount: int, lines: list[int], total: int
) -> None:
    sell(books, "good", amount, currency)
    books.ledger.set_fee_rule({"id": "card", "kind": "fee", "label": "Fee", "percent": "2.9"}, "dana")
    books.ledger.set_fee_rule({"id": "vat", "kind": "tax", "label": "VAT", "percent": "20"}, "dana")
    quote = books.ledger.quote_purchase("a", "good", 1)
    assert [line["amount"] for line in quote["lines"]] == lines
    assert quote["amount"] == total


# F7: what one automatic charge may be


@pytest.mark.parametrize(
    ("currency", "amount", "credits", "minimum"),
    [("hkd", 4000, 5, 400), ("huf", 100_000, 10, 17500), ("sek", 2000, 10, 300), ("mxn", 9000, 10, 1000),
     ("kwd", 9200, 2, 200), ("isk", 150_000, 5, 8000), ("jpy", 500, 9, 50)],
)  # fmt: skip
def test_auto_topup_that_stripe_would_refuse_is_refused_when_it_is_saved(
    books: Books, currency: str, amount: int, credits: int, minimum: int
) -> None:
    only(books, amount, currency)
    with books.refused("invalid_auto_topup") as refusal:
        enable(books, credits=credits * CREDIT)
    assert f"Stripe charges {minimum} or more" in refusal.value.detail
    assert (refusal.value.extra["rule"], refusal.value.extra["minimum"]) == ("charge_too_small", minimum)


@pytest.mark.parametrize(
    ("currency", "amount", "credits", "charge"),
    [("gbp", 400, 10, 40), ("hkd", 4000, 10, 400), ("jpy", 500, 10, 50), ("kwd", 9200, 10, 920),
     ("bhd", 3330, 33, 1100), ("isk", 150_000, 33, 49500), ("ugx", 1_000_000, 33, 330_000)],
)  # fmt: skip
def test_an_automatic_charge_is_what_the_currency_can_charge(
    books: Books, currency: str, amount: int, credits: int, charge: int
) -> None:
    only(books, amount, currency)
    state = enable(books, credits=credits * CREDIT)
    assert state["charge"]["amount"] == charge
    rules = CURRENCIES[currency]
    assert state["caps"] == {
        "day": rules.day_cap, "month": rules.month_cap, "per_hour": 3, "currency": currency,
    }  # fmt: skip
    card(books)
    books.use(95)
    topup = books.topup(books.charge())
    assert topup["amount"] >= charge
    assert topup["amount"] % rules.step == 0
    books.settle(str(topup["payment_id"]))
    books.assert_sound()


@pytest.mark.parametrize("cap", [935, 1849, 939, 1999])
def test_a_charge_that_a_cap_sizes_ends_in_the_currencys_last_digit(books: Books, cap: int) -> None:
    only(books, 9210, "kwd", credits=1000)
    enable(books, credits=300 * CREDIT, mode="target", threshold=200 * CREDIT,
           caps={"day": cap, "month": cap + 1000, "currency": "kwd"})  # fmt: skip
    card(books)
    books.use(400)
    topup = books.topup(books.charge())
    assert cap - 20 < topup["amount"] <= cap
    assert topup["amount"] % 10 == 0
    books.assert_sound()


# F10: in which currency


def test_the_default_package_is_of_the_currency_that_the_account_has_paid_in(books: Books) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    sell(books, "yen_10", 100, "jpy", credits=10)
    pay(books, "credits_100")
    state = enable(books)
    assert (state["charge"]["amount"], state["charge"]["currency"], state["caps"]["currency"]) == (
        500,
        "usd",
        "usd",
    )
    card(books)
    books.use(195)
    assert books.topup(books.charge())["amount"] == 500
    assert books.value("select currency from billing.payments where purpose = 'topup'") == "usd"


@pytest.mark.parametrize("paid", ["eur_90", "yen_10", "credits_600"])
def test_each_account_has_its_own_currency(books: Books, paid: str) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    sell(books, "yen_10", 100, "jpy", credits=10)
    pay(books, paid)
    expected = {"eur_90": "eur", "yen_10": "jpy", "credits_600": "usd"}[paid]
    assert books.ledger.get_auto_topup("a")["currency"] == expected
    assert enable(books)["charge"]["currency"] == expected


def test_a_new_package_in_another_currency_changes_nobodys_default(books: Books) -> None:
    enable(books)
    books.open("b", 1)
    sell(books, "eur_1", 50, "eur", credits=1)
    assert enable(books, threshold=20 * CREDIT)["charge"]["currency"] == "usd"
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    assert enable(books)["charge"] == {
        "net_amount": 500, "amount": 500, "currency": "usd",
        "lines": [{"kind": "credits", "label": "Credits", "amount": 500}],
    }  # fmt: skip


def test_who_has_paid_nothing_says_the_currency_when_there_are_several(books: Books) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    assert books.ledger.get_auto_topup("a")["currency"] is None
    with books.refused("invalid_auto_topup") as refusal:
        enable(books)
    assert "packages are sold in eur, usd: send currency" in refusal.value.detail
    assert (refusal.value.extra["field"], refusal.value.extra["rule"]) == ("currency", "currency_missing")
    assert enable(books, currency="eur")["charge"]["currency"] == "eur"
    assert enable(books, threshold=5 * CREDIT)["charge"]["currency"] == "eur"


def test_the_currency_of_the_caps_says_it_as_well(books: Books) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    state = enable(books, caps={"day": 2000, "month": 9000, "currency": "usd"})
    assert state["charge"]["currency"] == "usd"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"caps": {"day": 2000, "month": 9000, "currency": "eur"}}, "caps must be in usd"),
        (
            {"currency": "eur"},
            "the caps are in usd, and the charge would be in eur: send caps.day and caps.month in eur",
        ),
        ({"currency": "eur", "caps": {"day": 2000, "currency": "eur"}}, "the caps are in usd"),
        ({"currency": "eur", "caps": {"day": 2000, "month": 9000, "currency": "usd"}}, "caps must be in eur"),
        ({"credits": None, "package_id": "eur_90"}, "the caps are in usd, and the charge would be in eur"),
        (
            {"credits": None, "package_id": "eur_90", "currency": "usd"},
            "package eur_90 is priced in eur, not in usd",
        ),
        (
            {"currency": "gbp", "caps": {"day": 2000, "month": 9000, "currency": "gbp"}},
            "no package is sold in gbp",
        ),
        (
            {"currency": "xyz", "caps": {"day": 2000, "month": 9000, "currency": "xyz"}},
            "no package is sold in xyz",
        ),
    ],
)
def test_an_amount_of_one_currency_is_never_read_as_one_of_another(
    books: Books, changes: dict[str, Any], sentence: str
) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    pay(books, "credits_100")
    enable(books)
    with books.refused("invalid_auto_topup") as refusal:
        enable(books, **changes)
    assert sentence in refusal.value.detail
    assert books.settings()["currency"] == "usd"


def test_another_currency_is_charged_when_it_and_its_caps_are_asked_for(books: Books) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    pay(books, "credits_100")
    enable(books)
    state = enable(
        books, credits=None, package_id="eur_90", caps={"day": 2000, "month": 9000, "currency": "eur"}
    )
    assert (state["charge"]["amount"], state["caps"]["currency"], state["currency"]) == (450, "eur", "eur")


def test_purchases_in_another_currency_change_the_default_only_when_they_are_the_rule(books: Books) -> None:
    sell(books, "eur_90", 450, "eur", credits=90)
    pay(books, "credits_100")
    pay(books, "eur_90")
    assert books.ledger.get_auto_topup("a")["currency"] == "usd"
    pay(books, "eur_90")
    assert books.ledger.get_auto_topup("a")["currency"] == "eur"
    figures = books.ledger.get_revenue(books.value("select date_trunc('month', now(), 'UTC')::date"), "a")
    assert [(row["currency"], row["sold"]) for row in figures["currencies"]] == [("eur", 900), ("usd", 500)]
    books.assert_sound()


def test_caps_count_the_charges_of_their_own_currency(books: Books) -> None:
    sell(books, "yen", 5000, "jpy")
    card(books)
    enable(books, currency="usd", caps={"day": 500, "month": 500, "currency": "usd"})
    books.use(95)
    books.settle(str(books.topup(books.charge())["payment_id"]))
    books.use(95)
    assert books.ask()["reason"] in ("cap_day", "cap_month")
    state = enable(books, currency="jpy", caps={"day": 5000, "month": 5000, "currency": "jpy"})
    assert (state["spent"]["day"], state["spent"]["per_hour"]) == (0, 1)
    assert books.topup(books.charge())["amount"] == 5000
    books.assert_sound()
