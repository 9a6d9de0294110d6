"""What a purchase comes to, the two ways to pay it, what auto top-up would do, and the list of all charges."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books

SETTINGS = {"enabled": True, "threshold": 50 * CREDIT, "credits": 100 * CREDIT}


@pytest.mark.parametrize("first", ["session", "intent"])
def test_purchase_is_paid_in_one_way_only(books: Books, first: str) -> None:
    books.open("a", 100)
    books.ledger.link_customer("a", "cus_a")
    books.ledger.open_purchase("pay_1", "a", "credits_100", 1, "cus_a")

    def attach(way: str) -> object:
        if way == "session":
            return books.ledger.attach_checkout_session("pay_1", "cs_1", "https://checkout.stripe.com/1")
        return books.ledger.attach_payment_intent("pay_1", "pi_1")

    attach(first)
    attach(first)
    with books.refused("state_conflict"):
        attach("intent" if first == "session" else "session")


def test_round_moves_on_when_an_order_is_over(books: Books) -> None:
    books.open("a", 100)
    books.ledger.link_customer("a", "cus_a")

    def quoted() -> int:
        return books.ledger.quote_purchase("a", "credits_100", 2)["round"]

    assert quoted() == 0
    opened = books.ledger.open_purchase("pay_1", "a", "credits_100", 2, "cus_a")
    quote = books.ledger.quote_purchase("a", "credits_100", 2)
    assert {name: opened[name] for name in ("amount", "net_amount", "credits", "lines")} == {  # type: ignore[literal-required]
        name: quote[name]
        for name in ("amount", "net_amount", "credits", "lines")  # type: ignore[literal-required]
    }
    assert quote["round"] == 0
    assert books.ledger.quote_purchase("a", "credits_100", 1)["round"] == 0
    books.settle("pay_1")
    assert quoted() == 1
    books.ledger.open_purchase("pay_2", "a", "credits_100", 2, "cus_a")
    books.query("update billing.payments set created_at = now() - interval '2 hours' where id = 'pay_2'")
    assert quoted() == 2


def test_preview_is_what_the_charge_will_be(books: Books) -> None:
    books.open("a", 100)
    books.ledger.link_customer("a", "cus_a")
    assert books.ledger.preview_auto_topup("a", SETTINGS)["outcome"] != "charge"
    books.ledger.set_default_payment_method("a", "pm_1", {"brand": "visa"}, "tests")
    books.use(books.balance() - 10)
    with books.nothing_moves():
        preview = books.ledger.preview_auto_topup("a", SETTINGS)
    assert preview["outcome"] == "charge"
    assert preview["charge"] is not None
    least = preview["least_charge"]
    books.ledger.set_auto_topup("a", SETTINGS | {"text_version": "v1"}, "tests")
    topup = books.ledger.open_topup("a", "t_1", "p_1")["topup_id"]
    assert topup is not None
    charged = books.topup(topup)
    assert (charged["amount"], charged["credits"]) == (
        preview["charge"]["amount"],
        preview["charge"]["credits"],
    )
    assert least == books.ledger.get_auto_topup("a")["charge"]
    assert books.ledger.preview_auto_topup("a", SETTINGS)["outcome"] == "open_topup"
    with books.refused("invalid_auto_topup") as refusal:
        books.ledger.preview_auto_topup("a", SETTINGS | {"caps": {"day": 1, "currency": "usd"}})
    assert refusal.value.extra["field"] == "caps.day"


def test_payments_and_invoices_are_one_list_without_gaps(books: Books) -> None:
    books.open("a", 100)
    books.ledger.link_customer("a", "cus_a")
    for number in range(3):
        books.ledger.open_purchase(f"pay_{number}", "a", "credits_100", 1, "cus_a")
    # All in the same instant: then the ids order them.
    books.query("update billing.payments set created_at = now() where account_id = 'a'")
    books.query(
        "insert into billing.invoices (id, account_id, status, amount_due, amount_paid, currency, occurred_at)"
        " select 'in_' || n, 'a', 'paid', 1900, 1900, 'usd', p.created_at"
        " from generate_series(0, 2) n, billing.payments p where p.id = 'pay_0'"
    )
    books.query(
        "insert into billing.payment_reversals (id, account_id, invoice_id, kind, amount, status, is_taken, is_open,"
        " occurred_at) values ('re_1', 'a', 'in_1', 'refund', 900, 'succeeded', true, false, now())"
    )
    whole = books.ledger.list_charges("a", 10, None)["data"]
    seen, cursor = [], None
    while True:
        page = books.ledger.list_charges("a", 1, cursor)
        seen += [row["id"] for row in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [row["id"] for row in whole] == ["pay_2", "pay_1", "pay_0", "in_2", "in_1", "in_0"]
    assert [(row["id"], row["reversals"][0]["amount"]) for row in whole if row["reversals"]] == [
        ("in_1", 900)
    ]
    with books.refused("not_found"):
        books.ledger.list_charges("a", 1, "pay_9")
