"""What a subscription costs and when are Stripe's figures; a plan that disagrees with its price is not sold."""

from __future__ import annotations

from typing import Any

import pytest

from shared.stripe_prices import facts_of_price
from shared.stripe_subscriptions import facts_of_invoice
from tests import stripe_shapes as stripe
from tests.sql.books import CREDIT, Books
from tests.sql.test_subscriptions import MONTH, START, account, tell

__all__ = ["account"]


def item(amount: str | None = "2500", **more: Any) -> dict[str, Any]:
    """An item of Starter at another price than its row's."""
    return {
        "price": "price_x",
        "product": "refill_plan_starter",
        "quantity": 1,
        "unit_amount": amount,
        "currency": "usd",
        "interval": "month",
        "interval_count": 1,
        "period_start": START,
        "period_end": START + MONTH,
    } | more


def shown(books: Books, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    assert tell(books, items=list(items) or [item()], **more) == "mirrored"
    found = books.ledger.get_subscription("a")
    assert found is not None
    view = books.query(
        'select amount, currency, "interval", interval_count, next_amount from api.subscription'
    )
    assert view == [
        {name: found[name] for name in ("amount", "currency", "interval", "interval_count", "next_amount")}
    ]
    return dict(found)


@pytest.mark.parametrize(
    ("changes", "amount", "upcoming"),
    [
        ({}, 2500, 2500),
        ({"currency": "eur", "unit_amount": "24000", "interval": "year"}, 24000, 24000),
        ({"interval": "month", "interval_count": 3, "unit_amount": "9900", "currency": "eur"}, 9900, 9900),
        ({"quantity": 3}, 2500, 7500),
        ({"unit_amount": None}, None, None),
        ({"unit_amount": "0.5", "quantity": 1000}, None, 500),
    ],
)
def test_what_stripe_charges_is_shown_and_not_the_catalogue(
    books: Books, changes: dict[str, Any], amount: int | None, upcoming: int | None
) -> None:
    found = shown(books, item() | changes)
    assert (found["amount"], found["next_amount"]) == (amount, upcoming)
    for name in ("currency", "interval", "interval_count"):
        assert found[name] == (item() | changes)[name]
    books.query("update billing.subscription_plans set amount = 9999, currency = 'chf' where id = 'starter'")
    again = books.ledger.get_subscription("a")
    assert again is not None
    assert (again["amount"], again["currency"]) == (amount, found["currency"])
    assert len(found["items"]) == 1
    books.assert_sound()


def test_all_items_are_kept_and_charged_and_the_plans_item_is_the_price(books: Books) -> None:
    support = item("900", product="prod_support", price="price_support")
    found = shown(books, support, item(quantity=2))
    assert (found["amount"], found["quantity"], found["next_amount"]) == (2500, 2, 5900)
    assert [(one["price"], one["plan"]) for one in found["items"]] == [
        ("price_support", None),
        ("price_x", "starter"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"cancel_at_period_end": True},
        {"status": "canceled"},
        {"status": "unpaid"},
        {"status": "paused"},
        {"paused": "void"},
        {"paused": "keep_as_draft"},
        {"cancel_at": START + MONTH},
    ],
)
def test_nothing_is_charged_next_where_stripe_charges_nothing(books: Books, changes: dict[str, Any]) -> None:
    found = shown(books, **changes)
    assert (found["next_amount"], found["next_at"]) == (None, None)


def test_a_preview_of_stripe_is_what_is_charged_next(books: Books) -> None:
    found = shown(books, needs_preview=True, preview={"amount": 1250, "discount": 1250})
    assert (found["next_amount"], found["discount_amount"], found["amount"]) == (1250, 1250, 2500)
    found = shown(books, needs_preview=True, preview=None)
    assert (found["next_amount"], found["discount_amount"]) == (None, None)
    assert found["next_at"] is not None


@pytest.mark.parametrize(("balance", "charged"), [(-1000, 1500), (-18100, 0), (0, 2500), (700, 2500)])
def test_the_balance_at_stripe_pays_the_next_invoice_first(books: Books, balance: int, charged: int) -> None:
    shown(books)
    line = stripe.line("il_0", 2500, "price_x", START, START + MONTH)
    line["pricing"]["price_details"]["product"] = "refill_plan_starter"
    invoice = stripe.invoice("in_0", line, customer="cus_a", ending_balance=balance)
    books.ledger.grant_invoice(facts_of_invoice(invoice))
    found = books.ledger.get_subscription("a")
    assert found is not None
    assert found["next_amount"] == charged


def test_a_yearly_price_of_a_monthly_plan_says_what_a_year_grants(books: Books) -> None:
    found = shown(books, item("19000", interval="year"))
    assert found["credits_per_cycle"] == 5000 * CREDIT


# Plans and their prices at Stripe


def priced(books: Books, **changes: Any) -> str | None:
    """Pro, 79 dollars a month, sells price_pro; Stripe says what changes say of it."""
    books.query("update billing.subscription_plans set stripe_price_id = 'price_pro' where id = 'pro'")
    price = None if changes.pop("unknown", False) else stripe.price("price_pro", 7900) | changes
    return books.ledger.note_plan_price("pro", facts_of_price("price_pro", price, live=False))


def every(interval: str, count: int, usage: str = "licensed") -> dict[str, Any]:
    return {"recurring": {"interval": interval, "interval_count": count, "usage_type": usage}}


def test_a_plan_that_agrees_with_its_price_is_sold(books: Books) -> None:
    assert priced(books) is None
    assert books.ledger.open_subscription("subc_1", "a", "pro", "cus_a")["stripe_price_id"] == "price_pro"
    assert books.notices("operations.plan_price_mismatch") == 0


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("amount", {"unit_amount_decimal": "7901"}),
        ("amount", {"unit_amount_decimal": "7900.5"}),
        ("amount", {"unit_amount_decimal": None}),
        ("currency", {"currency": "eur"}),
        ("interval", every("year", 1)),
        ("interval", every("week", 1)),
        ("interval_count", every("month", 3)),
        ("usage_type", every("month", 1, "metered")),
        ("type", {"type": "one_time", "recurring": None}),
        ("inactive", {"active": False}),
        ("mode", {"livemode": True}),
        ("missing", {"unknown": True}),
    ],
)
def test_a_plan_that_disagrees_with_its_price_is_refused_and_announced_once(
    books: Books, reason: str, changes: dict[str, Any]
) -> None:
    assert [priced(books, **changes) for _ in range(3)] == [reason] * 3
    with books.refused("plan_price_mismatch") as caught:
        books.ledger.open_subscription("subc_1", "a", "pro", "cus_a")
    assert (caught.value.extra["reason"], caught.value.extra["plan_id"]) == (reason, "pro")
    assert books.notices("operations.plan_price_mismatch") == 1
    plans = {plan["id"]: plan["available"] for plan in books.ledger.list_plans()}
    assert plans == {"free": True, "starter": True, "pro": False}
    books.assert_sound()


def test_another_product_than_the_plans_is_a_mismatch(books: Books) -> None:
    books.query("update billing.subscription_plans set stripe_product_id = 'prod_other' where id = 'pro'")
    assert priced(books) == "product"


def test_a_corrected_row_is_sold_at_once_and_a_later_disagreement_is_announced_again(books: Books) -> None:
    assert priced(books, unit_amount_decimal="8900") == "amount"
    books.query("update billing.subscription_plans set amount = 8900 where id = 'pro'")
    books.ledger.open_subscription("subc_1", "a", "pro", "cus_a")
    assert priced(books, unit_amount_decimal="8900") is None
    assert priced(books, active=False) == "inactive"
    assert books.notices("operations.plan_price_mismatch") == 2


def test_subscribers_of_a_plan_that_is_not_sold_are_granted_as_before(books: Books) -> None:
    priced(books, active=False)
    line = stripe.line("il_0", 7900, "price_pro", START, START + MONTH)
    books.ledger.grant_invoice(facts_of_invoice(stripe.invoice("in_0", line, customer="cus_a")))
    assert books.balance() == 2500
