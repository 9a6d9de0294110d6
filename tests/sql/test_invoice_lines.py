"""What a paid invoice line grants is what it pays for: whole cycles, shares of them, and what a credit takes back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.stripe_subscriptions import facts_of_invoice
from tests import stripe_shapes as stripe
from tests.sql.books import CREDIT, Books
from tests.sql.test_statement import ties_out

START = 1_790_000_000
DAY = 86_400
MONTH = 30 * DAY
YEAR = 365 * DAY
CUSTOMER = stripe.CHANGE_OF_INTERVAL["customer"]
PRICES = stripe.PRICES | {
    "price_pro": stripe.price("price_pro", 7900),
    "price_old": stripe.price("price_old", 1500),
    "price_quarter": stripe.price("price_quarter", 7000, "month", 3),
    "price_fortnight": stripe.price("price_fortnight", 1000, "week", 2),
    "price_ten_days": stripe.price("price_ten_days", 1000, "day", 10),
    "price_tiers": stripe.price("price_tiers", None),
    "price_metered": stripe.price(
        "price_metered", 1, recurring={"interval": "month", "interval_count": 1, "usage_type": "metered"}
    ),
}


@pytest.fixture(autouse=True)
def account(request: pytest.FixtureRequest) -> None:
    """Account "a" with the customer of the recordings; Small by the month and by the year, Pro, and odd cycles."""
    books: Books = request.getfixturevalue("books")
    books.open("a")
    books.ledger.link_customer("a", CUSTOMER)
    for name, credits, amount, interval, count, price in (
        ("small", 500, 2500, "month", 1, "small-monthly"),
        ("small_year", 6000, 25000, "year", 1, "small-annual"),
        ("pro_own", 2500, 7900, "month", 1, "price_pro"),
        ("quarter", 1600, 7000, "month", 3, "price_quarter"),
        ("fortnight", 200, 1000, "week", 2, "price_fortnight"),
        ("ten_days", 200, 1000, "day", 10, "price_ten_days"),
    ):
        books.query(
            "insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval,"
            " interval_count, stripe_product_id, stripe_price_id) values (%s, %s, %s, %s, 'usd', %s, %s, %s, %s)",
            name, name.title(), credits * CREDIT, amount, interval, count, "prod_EYTX7RYhRjcwKD", price,
        )  # fmt: skip


def pay(books: Books, invoice: dict[str, Any]) -> dict[str, Any]:
    return dict(books.ledger.grant_invoice(facts_of_invoice(invoice, PRICES)))


def cycle(number: int = 0, price: str = "small-monthly", amount: int = 2500, **more: Any) -> dict[str, Any]:
    start = START + number * MONTH
    return stripe.line(f"il_{number}", amount, price, start, start + MONTH, **more)


def first(books: Books, **more: Any) -> None:
    """The first month of Small: 500 credits for 25 dollars."""
    pay(books, stripe.invoice("in_0", cycle(**more), reason="subscription_create"))


def half(books: Books, *lines: dict[str, Any], name: str = "in_half", **more: Any) -> dict[str, Any]:
    return pay(books, stripe.invoice(name, *lines, reason="subscription_update", **more))


def unused(
    amount: int = 1250, credits: Any = ("il_0",), name: str = "il_back", **more: Any
) -> dict[str, Any]:
    """Stripe credits the second half of the first month."""
    facts = {"proration": True, "credits": list(credits) if credits else None} | more
    return stripe.line(
        name, -amount, facts.pop("price", "small-monthly"), START + MONTH // 2, START + MONTH, **facts
    )


def rest(
    amount: int, price: str, name: str = "il_rest", end: int = START + MONTH, **more: Any
) -> dict[str, Any]:
    return stripe.line(name, amount, price, START + MONTH // 2, end, proration=True, **more)


# The year


def month_as_recorded(books: Books) -> None:
    line = stripe.line("il_1SRzpzKXBGcbgpbZMzejrUlL", 2500, "small-monthly", 1762799351, 1765391351)
    pay(books, stripe.invoice("in_1SRzpzKXBGcbgpbZhJQectzF", line, reason="subscription_create"))


def test_a_change_from_month_to_year_as_stripe_recorded_it_grants_the_year(books: Books) -> None:
    month_as_recorded(books)
    assert books.balance() == 500
    assert [pay(books, stripe.CHANGE_OF_INTERVAL)["outcome"] for _ in range(3)] == [
        "granted",
        "nothing",
        "nothing",
    ]
    assert books.lots() == {"il_1SRzpzKXBGcbgpbZMzejrUlL": 0, "il_1SRzq4KXBGcbgpbZnrLSvH2d": 6000}
    back = books.query("select * from billing.credit_transactions where kind = 'plan_change'")
    assert [(row["amount"], row["counter_account"]) for row in back] == [(-500 * CREDIT, "refunds")]
    assert (
        books.notices("subscription.credits_granted"),
        books.notices("subscription.credits_returned"),
    ) == (2, 1)
    ties_out(books.ledger.get_statement("a", dt.datetime.now(dt.UTC).date().replace(day=1)))
    books.assert_sound()


def test_what_was_spent_of_the_month_counts_as_granted_by_the_year(books: Books) -> None:
    month_as_recorded(books)
    books.spend(300)
    pay(books, stripe.CHANGE_OF_INTERVAL)
    assert books.lots() == {"il_1SRzpzKXBGcbgpbZMzejrUlL": 0, "il_1SRzq4KXBGcbgpbZnrLSvH2d": 5700}
    paid = books.value("select paid_amount from billing.credit_lots where right(source, 4) = 'vH2d'")
    assert paid == 25000 - 1500
    books.assert_sound()


def test_a_credit_that_is_read_before_the_invoice_that_it_credits_ends_in_the_same_books(
    books: Books,
) -> None:
    pay(books, stripe.CHANGE_OF_INTERVAL)
    assert books.balance() == 6000
    month_as_recorded(books)
    pay(books, stripe.CHANGE_OF_INTERVAL)
    assert books.lots() == {"il_1SRzpzKXBGcbgpbZMzejrUlL": 0, "il_1SRzq4KXBGcbgpbZnrLSvH2d": 6000}
    books.assert_sound()


def test_from_year_to_month_takes_the_unused_part_back_and_grants_months_that_the_credit_pays(
    books: Books,
) -> None:
    year = stripe.line("il_y", 25000, "small-annual", START, START + YEAR)
    pay(books, stripe.invoice("in_y", year, reason="subscription_create"))
    books.spend(1000)
    back = stripe.line(
        "il_b", -20000, "small-annual", START + 73 * DAY, START + YEAR, proration=True, credits=["il_y"]
    )
    month = stripe.line("il_m", 2500, "small-monthly", START + 73 * DAY, START + 103 * DAY, proration=True)
    answer = half(books, back, month, total=-17500, amount_paid=0, amount_due=0)
    assert answer["outcome"] == "granted"
    # 4,800 of 6,000 are due; 5,000 are left.
    assert books.lots() == {"il_y": 200, "il_m": 500}
    balance_pays = stripe.line("il_n", 2500, "small-monthly", START + 103 * DAY, START + 133 * DAY)
    pay(books, stripe.invoice("in_n", balance_pays, amount_paid=0, amount_due=0, total=2500))
    assert books.lots() == {"il_y": 200, "il_m": 500, "il_n": 500}
    books.assert_sound()


def test_a_new_cycle_without_prorations_grants_and_takes_nothing_back(books: Books) -> None:
    first(books)
    half(books, stripe.line("il_y", 25000, "small-annual", START + DAY, START + DAY + YEAR))
    assert books.lots() == {"il_0": 500, "il_y": 6000}
    books.assert_sound()


# Within a cycle


def test_an_upgrade_grants_its_share_and_takes_the_unspent_share_back(books: Books) -> None:
    first(books)
    half(books, unused(), rest(3950, "price_pro"))
    assert books.lots() == {"il_0": 250, "il_rest": 1250}
    books.assert_sound()


def test_never_more_is_taken_back_than_is_left_and_held_credits_stay(books: Books) -> None:
    first(books)
    books.spend(150)
    books.place(200)
    half(books, unused(), rest(3950, "price_pro"))
    # 250 are due, 350 left, 200 of them held: 150 come back, 100 count as granted.
    assert books.lots() == {"il_0": 200, "il_rest": 1150}
    books.assert_sound()


@pytest.mark.parametrize("spent", [500, 730])
def test_what_is_all_spent_takes_nothing_back_and_makes_no_debt(books: Books, spent: float) -> None:
    first(books)
    books.use(spent)
    before = books.balance()
    half(books, unused(), total=-1250, amount_paid=0, amount_due=0)
    assert books.balance() == before
    row = books.query("select * from billing.invoice_lines where id = 'il_back'")[0]
    assert (row["due_credits"], row["returned_credits"]) == (250 * CREDIT, 0)
    # The credit pays half of the next month, whose other half is granted.
    pay(books, stripe.invoice("in_1", cycle(1), amount_paid=1250, amount_due=1250, total=2500))
    assert books.balance() == before + 250
    books.assert_sound()


def test_plans_changed_to_and_fro_give_no_credits_for_nothing(books: Books) -> None:
    """Upgrade, spend all of it, and back, ten times on one day: the balance at Stripe pays, and nothing new is granted."""
    first(books)
    current, paid = ("il_0", "small-monthly", 2500), 2500
    for number in range(10):
        if books.balance():
            books.spend(books.balance())
        price, amount = ("price_pro", 7900) if number % 2 == 0 else ("small-monthly", 2500)
        name = f"il_to_{number}"
        back = stripe.line(
            f"il_fro_{number}",
            -current[2],
            current[1],
            START,
            START + MONTH,
            proration=True,
            credits=[current[0]],
        )
        new = stripe.line(name, amount, price, START, START + MONTH, proration=True)
        paid = max(paid, amount)
        half(books, back, new, name=f"in_{number}")
        current = (name, price, amount)
    granted = books.value(
        "select sum(amount) from billing.credit_transactions where kind in ('subscription', 'plan_change')"
    )
    assert granted <= 2500 * CREDIT
    books.assert_sound()


@pytest.mark.parametrize("named", [True, False], ids=["flexible", "classic"])
def test_seats_up_and_down_grant_and_take_back_their_shares(books: Books, named: bool) -> None:
    first(books)
    half(books, unused(credits=["il_0"] if named else None), rest(6250, "small-monthly", quantity=5))
    assert books.lots() == {"il_0": 250, "il_rest": 1250}
    quarter = {"credits": ["il_rest"]} if named else {"credits": None}
    back = stripe.line(
        "il_b",
        -3125,
        "small-monthly",
        START + MONTH * 3 // 4,
        START + MONTH,
        proration=True,
        quantity=5,
        **quarter,
    )
    more = stripe.line(
        "il_r", 1250, "small-monthly", START + MONTH * 3 // 4, START + MONTH, proration=True, quantity=2
    )
    half(books, back, more, name="in_down", total=-1875, amount_paid=0)
    # By seats and time: 250 + 625 + 250 for one, five, two seats.
    assert books.balance() == pytest.approx(1125, abs=0.00001)  # what is due back is rounded up
    books.assert_sound()


def test_prorations_that_wait_for_the_next_invoice_grant_with_it(books: Books) -> None:
    first(books)
    lines = [unused(pending=True), rest(3950, "price_pro", pending=True), cycle(1, "price_pro", 7900)]
    pay(books, stripe.invoice("in_1", *lines))
    assert books.lots() == {"il_0": 250, "il_1": 2500, "il_rest": 1250}
    renewals = books.query("select id from billing.subscription_grants where is_renewal")
    assert renewals == [{"id": "il_1"}]
    books.assert_sound()


def test_a_downgrade_to_nothing_gives_time_back_and_later_grants_are_whole(books: Books) -> None:
    first(books)
    half(books, unused(), total=-1250, amount_paid=0)
    assert books.lots() == {"il_0": 250}
    pay(books, stripe.invoice("in_1", cycle(1)))
    assert books.lots() == {"il_0": 250, "il_1": 500}


def test_credits_that_have_expired_are_not_asked_of_later_lines(books: Books) -> None:
    books.query("update billing.subscription_plans set credits_expire = true where id = 'small'")
    now = int(books.value("select extract(epoch from now())"))
    period = {"period": {"start": now - MONTH + DAY, "end": now + DAY}}
    first(books, **period)
    books.age("2 days")
    books.ledger.expire_lots(10)
    half(books, unused(), rest(3950, "price_pro"))
    assert books.lots() == {"il_0": 0, "il_rest": 1250}
    books.assert_sound()


# Prices, cycles, discounts, taxes


@pytest.mark.parametrize(
    ("price", "amount", "days", "quantity", "expected"),
    [
        ("price_quarter", 7000, 91, 1, 1600),
        ("price_quarter", 14000, 91, 2, 3200),
        ("price_fortnight", 1000, 14, 1, 200),
        ("price_ten_days", 1000, 10, 1, 200),
        ("price_pro", 7900, 31, 1, 2500),
        ("small-annual", 75000, 366, 3, 18000),
    ],
)
def test_a_cycle_of_any_length_grants_its_plan(
    books: Books, price: str, amount: int, days: int, quantity: int, expected: float
) -> None:
    line = stripe.line("il_0", amount, price, START, START + days * DAY, quantity=quantity)
    pay(books, stripe.invoice("in_0", line, reason="subscription_create"))
    assert books.balance() == expected
    books.assert_sound()


@pytest.mark.parametrize("price", ["price_old", "price_tiers"])
def test_a_subscriber_of_another_price_of_the_same_cycle_keeps_the_whole_cycle(
    books: Books, price: str
) -> None:
    books.query("update billing.subscription_plans set stripe_price_id = null where id = 'small'")
    books.query("delete from billing.subscription_plans where stripe_price_id is not null")
    pay(books, stripe.invoice("in_0", cycle(price=price, amount=1500)))
    assert books.balance() == 500
    assert books.value("select paid_amount from billing.credit_lots") == 1500
    books.assert_sound()


def test_a_new_price_of_a_product_that_several_plans_share_goes_by_its_amount_else_to_the_smallest_plan(
    books: Books,
) -> None:
    pay(books, stripe.invoice("in_0", cycle(price="price_old", amount=1500)))
    assert books.balance() == 500
    prices = {"price_x": stripe.price("price_x", 7900)}
    line = cycle(1, "price_x", 7900)
    books.ledger.grant_invoice(facts_of_invoice(stripe.invoice("in_1", line), prices))
    assert books.lots() == {"il_0": 500, "il_1": 2500}


@pytest.mark.parametrize(
    ("amount", "currency", "interval", "count", "expected"),
    [
        (25000, "usd", "year", 1, 5000),  # ten months' money for twelve months
        (40000, "usd", "year", 1, 6000),  # dearer than twelve months: twelve months
        (25000, "eur", "year", 1, 6000),  # another currency: by time
        (7000, "usd", "month", 3, 1400),
    ],
)
def test_a_price_of_another_cycle_than_its_plans_grants_by_time_or_money_whichever_is_less(
    books: Books, amount: int, currency: str, interval: str, count: int, expected: float
) -> None:
    books.query("delete from billing.subscription_plans where id not in ('small', 'free', 'starter', 'pro')")
    prices = {"price_x": stripe.price("price_x", amount, interval, count, currency)}
    line = stripe.line("il_0", amount, "price_x", START, START + YEAR)
    invoice = stripe.invoice("in_0", line, currency=currency)
    books.ledger.grant_invoice(facts_of_invoice(invoice, prices))
    assert books.balance() == expected
    books.assert_sound()


def cut(amount: int) -> dict[str, Any]:
    return {"discount_amounts": [{"amount": amount, "discount": "di_1"}], "discounts": ["di_1"]}


@pytest.mark.parametrize("off", [1, 1250, 2499])
def test_a_coupon_lowers_the_price_and_not_the_credits(books: Books, off: int) -> None:
    first(books, **cut(off))
    assert books.balance() == 500
    assert books.value("select paid_amount from billing.credit_lots") == 2500 - off
    books.assert_sound()


def test_a_coupon_of_100_percent_grants_nothing(books: Books) -> None:
    first(books, **cut(2500))
    assert (books.lots(), books.notices("operations.paid_without_credits")) == ({}, 0)
    books.assert_sound()


@pytest.mark.parametrize(
    "discount", [{"discounts": ["di_1"]}, cut(1975)], ids=["inside of the amount", "itemized"]
)
def test_a_discounted_proration_grants_its_share_of_the_time(books: Books, discount: dict[str, Any]) -> None:
    """50 % off: with proration_discounts `included` the amount is halved and discount_amounts are empty."""
    amount = 1975 if len(discount) == 1 else 3950
    end = START + MONTH // 2 + 15 * DAY  # 15 days of a month that has 30
    half(books, rest(amount, "price_pro", end=end, **discount))
    granted = books.balance()
    assert granted == pytest.approx(1250, rel=0.04)
    assert books.value("select paid_amount from billing.credit_lots") == 1975
    books.assert_sound()


@pytest.mark.parametrize(
    ("behavior", "price"), [("inclusive", 2101), ("exclusive", 2500)], ids=["inclusive", "exclusive"]
)
def test_a_lots_price_is_without_tax_whether_the_price_includes_it_or_not(
    books: Books, behavior: str, price: int
) -> None:
    tax = {"amount": 399, "tax_behavior": behavior, "type": "tax_rate_details"}
    first(books, taxes=[tax])
    assert (books.balance(), books.value("select paid_amount from billing.credit_lots")) == (500, price)


def test_included_tax_of_a_change_of_plan_is_in_neither_price(books: Books) -> None:
    def taxed(amount: int) -> dict[str, Any]:
        return {"taxes": [{"amount": amount, "tax_behavior": "inclusive"}]}

    first(books, **taxed(400))
    half(books, unused(**taxed(-200)), rest(3950, "price_pro", **taxed(630)))
    assert books.lots() == {"il_0": 250, "il_rest": 1250}
    assert books.query("select paid_amount from billing.credit_lots order by id") == [
        {"paid_amount": 2100},
        {"paid_amount": 3320},
    ]
    books.assert_sound()


def test_several_items_of_one_subscription_grant_each_by_its_own_plan(books: Books) -> None:
    lines = [cycle(), cycle(1, "price_pro", 15800, quantity=2), cycle(2, "price_support", 900)]
    lines[2]["pricing"]["price_details"]["product"] = "prod_support"
    pay(books, stripe.invoice("in_0", *lines, reason="subscription_create"))
    assert books.lots() == {"il_0": 500, "il_1": 5000}
    books.assert_sound()


# Trials, pauses, payment


def test_a_trial_grants_when_it_is_paid_for(books: Books) -> None:
    trial = stripe.line("il_t", 0, "small-monthly", START - 14 * DAY, START)
    assert pay(books, stripe.invoice("in_t", trial, reason="subscription_create"))["outcome"] == "nothing"
    assert pay(books, stripe.invoice("in_0", cycle()))["credits"] == 500 * CREDIT
    assert books.lots() == {"il_0": 500}


@pytest.mark.parametrize("status", ["draft", "open", "void", "uncollectible"])
def test_an_invoice_of_a_paused_subscription_grants_when_and_if_it_is_paid(books: Books, status: str) -> None:
    with books.nothing_moves():
        assert (
            pay(books, stripe.invoice("in_0", cycle(), status=status, amount_paid=0))["outcome"] == "unpaid"
        )
    assert pay(books, stripe.invoice("in_0", cycle()))["outcome"] == "granted"
    assert books.balance() == 500


@pytest.mark.parametrize("paid", [0, 1000, 2500])
def test_a_cycle_paid_by_balance_or_out_of_band_grants_as_any_other(books: Books, paid: int) -> None:
    pay(books, stripe.invoice("in_0", cycle(), amount_paid=paid, amount_due=paid, total=2500))
    assert books.balance() == 500
    books.assert_sound()


def test_from_the_free_plan_to_a_paid_one_grants_the_paid_one(books: Books) -> None:
    free = stripe.line("il_f", 0, "price_free", START, START + MONTH)
    free["pricing"]["price_details"]["product"] = "refill_plan_free"
    pay(books, stripe.invoice("in_f", free, reason="subscription_create"))
    half(books, rest(2500, "small-monthly"))
    assert books.lots() == {"il_rest": 500}
