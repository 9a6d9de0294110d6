"""Consent to a price: what was agreed to is kept, dearer credits wait for another consent, cheaper ones are charged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import CREDIT, Books

DOUBLED = "update billing.credit_packages set amount = 1000 where id = 'credits_100'"


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)
    books.query("update billing.credit_packages set active = id = 'credits_100'")
    books.enable(caps={"day": 50000, "month": 90000, "per_hour": 10})


def low(books: Books, credits: float = 5) -> None:
    """Brings the balance down to this many credits."""
    books.use(books.balance() - credits)


def paused(books: Books) -> dict[str, Any] | None:
    """What the notice of the pause says, None without one."""
    payload = books.value(
        "select payload from billing.outbox where topic = 'topup.paused' order by id desc limit 1"
    )
    return payload and {name: payload.get(name) for name in ("reason", "credits", "amount", "agreed_amount")}


def consent(books: Books, **changes: Any) -> dict[str, Any]:
    return books.enable_raw(caps={"day": 50000, "month": 90000, "per_hour": 10}, **changes)


def fee(books: Books, rule: str = "fee", **changes: Any) -> None:
    books.ledger.set_fee_rule(
        {"id": rule, "kind": "fee", "label": "Fee", "applies_to": "topup"} | changes, "operator"
    )


def test_the_consent_keeps_package_unit_price_and_the_lines_that_were_shown(books: Books) -> None:
    fee(books, percent="10")
    consent(books)
    price = books.ledger.get_auto_topup("a")["consent"]["price"]
    assert (price["package_id"], price["credits"], price["amount"], price["currency"]) == (
        "credits_100", 100 * CREDIT, 500, "usd",
    )  # fmt: skip
    assert price["least_credits"] == 100 * CREDIT
    assert [(line["kind"], line["amount"]) for line in price["charge"]["lines"]] == [
        ("credits", 500),
        ("fee", 50),
    ]
    assert price["charge"]["amount"] == 550
    assert books.ledger.list_auto_topup_consents("a", 1)[0]["price"] == price


PACKAGE = "insert into billing.credit_packages (id, name, currency, credits, amount) values"
RULE = "insert into billing.fee_rules (id, label, currency, kind, applies_to, percent, fixed) values"
OFF = "update billing.credit_packages set active = false; "
DEARER = {
    "the package's price was raised": (DOUBLED, 1000),
    "by the smallest amount": (DOUBLED.replace("1000", "501"), 501),
    "fewer credits for the same money": (DOUBLED.replace("amount = 1000", "credits = 50000000"), 1000),
    "a dearer package became the smallest": (f"{PACKAGE} ('tiny', 'T', 'usd', 10000000, 60)", 600),
    "the package was replaced by a dearer one": (f"{OFF}{PACKAGE} ('new', 'N', 'usd', 200000000, 1100)", 550),
    "a fee was added": (f"{RULE} ('f', 'F', 'usd', 'fee', 'topup', 0, 1)", 501),
    "a tax was added": (f"{RULE} ('t', 'T', null, 'tax', 'both', 20, 0)", 600),
}


@pytest.mark.parametrize("change", DEARER)
def test_dearer_credits_pause_before_anything_is_charged(books: Books, change: str) -> None:
    statement, amount = DEARER[change]
    low(books)
    books.query(statement)
    assert books.ask()["reason"] == "price_changed"
    assert books.value("select count(*) from billing.topups") == 0
    assert books.value("select count(*) from billing.payments") == 0
    assert paused(books) == {
        "reason": "price_changed", "credits": 100 * CREDIT, "amount": amount, "agreed_amount": 500,
    }  # fmt: skip
    # Once, however often it is looked at.
    assert books.ask()["reason"] == "price_changed"
    assert books.notices("topup.paused") == 1
    assert books.ledger.due_work(10)["accounts"] == []
    books.assert_sound()


def test_a_fee_that_was_raised_pauses_and_one_that_was_lowered_does_not(books: Books) -> None:
    fee(books, percent="10")
    consent(books)
    low(books)
    fee(books, percent="5")
    assert books.topup(str(books.ask()["topup_id"]))["amount"] == 525
    books.ledger.finish_topup(str(books.value("select id from billing.topups")), "canceled", {})
    fee(books, percent="10.2")
    assert books.ask()["reason"] == "price_changed"
    books.assert_sound()


def test_in_target_mode_the_same_credits_are_compared(books: Books) -> None:
    consent(books, mode="target", credits=200 * CREDIT)
    low(books, 3)
    books.query(DOUBLED)
    assert books.ask()["reason"] == "price_changed"
    assert paused(books) == {
        "reason": "price_changed", "credits": 197 * CREDIT, "amount": 1970, "agreed_amount": 985,
    }  # fmt: skip


def test_a_price_that_leaves_no_room_in_the_caps_is_a_change_of_price_and_no_cap(books: Books) -> None:
    books.enable_raw(caps={"day": 600, "month": 600})
    low(books)
    books.query("update billing.credit_packages set amount = 5000 where id = 'credits_100'")
    assert books.ask()["reason"] == "price_changed"
    assert books.notices("topup.capped") == 0


def test_several_steps_at_once_are_compared_whole(books: Books) -> None:
    low(books, -250)
    books.query("update billing.credit_packages set amount = 501 where id = 'credits_100'")
    assert books.ask()["reason"] == "price_changed"
    seen = paused(books)
    assert seen
    assert (seen["credits"], seen["amount"], seen["agreed_amount"]) == (300 * CREDIT, 1503, 1500)


def test_cheaper_credits_are_charged_at_the_lower_price_without_asking(books: Books) -> None:
    low(books)
    books.query("update billing.credit_packages set amount = 300 where id = 'credits_100'")
    assert books.topup(str(books.ask()["topup_id"]))["amount"] == 300
    books.assert_sound()


def test_the_same_unit_price_of_another_package_is_no_change(books: Books) -> None:
    low(books)
    books.query(f"{OFF}{PACKAGE} ('new', 'N', 'usd', 1000000000, 5000)")
    assert books.topup(str(books.ask()["topup_id"]))["amount"] == 500


def test_a_price_that_was_raised_after_the_charge_was_opened_stops_it(books: Books) -> None:
    low(books)
    topup = str(books.ask()["topup_id"])
    books.ledger.attach_topup_intent(topup, "pi_1")
    books.query(DOUBLED)
    assert books.ledger.begin_topup_charge(topup) == {"go": False, "reason": "price_changed"}
    assert books.topup(topup)["state"] == "canceled"
    assert books.topup(topup)["confirming_at"] is None
    assert books.settings()["paused_reason"] == "price_changed"
    assert books.notices("topup.paused") == 1
    books.assert_sound()


def test_a_charge_opened_before_a_cheaper_consent_is_not_sent(books: Books) -> None:
    low(books)
    topup = str(books.ask()["topup_id"])
    books.query("update billing.credit_packages set amount = 300 where id = 'credits_100'")
    consent(books)
    assert books.ledger.begin_topup_charge(topup)["reason"] == "price_changed"
    assert books.settings()["paused_reason"] is None
    again = str(books.ask()["topup_id"])
    assert books.topup(again)["amount"] == 300
    assert books.ledger.begin_topup_charge(again)["go"]


def test_resuming_is_refused_while_credits_are_dearer(books: Books) -> None:
    low(books)
    books.query(DOUBLED)
    books.ask()
    with books.refused("consent_required") as caught:
        books.ledger.resume_auto_topup("a", "owner")
    assert "new price" in caught.value.detail
    assert (caught.value.extra["amount"], caught.value.extra["agreed_amount"]) == (1000, 500)


def test_a_new_card_or_a_purchase_does_not_end_the_pause(books: Books) -> None:
    low(books)
    books.query(DOUBLED)
    books.ask()
    books.ledger.set_default_payment_method("a", "pm_2", {"brand": "visa"}, "owner")
    assert books.settings()["paused_reason"] == "price_changed"
    books.settle(books.buy(), payment_method="pm_3", saved=True, card={"brand": "visa"})
    assert books.settings()["paused_reason"] == "price_changed"
    low(books)
    assert books.ask()["reason"] == "price_changed"
    books.assert_sound()


def test_a_consent_at_the_new_price_ends_the_pause(books: Books) -> None:
    low(books)
    books.query(DOUBLED)
    books.ask()
    assert books.ledger.get_auto_topup("a")["price_change"] == {
        "credits": 100 * CREDIT, "amount": 1000, "agreed_amount": 500, "currency": "usd",
    }  # fmt: skip
    state = consent(books, charge={"amount": 1000, "currency": "usd"})
    assert (state["paused_reason"], state["price_change"]) == (None, None)
    assert books.topup(str(books.ask()["topup_id"]))["amount"] == 1000
    books.assert_sound()


def test_switching_off_and_on_agrees_to_the_price_of_now(books: Books) -> None:
    low(books)
    books.query(DOUBLED)
    books.ask()
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    consent(books)
    assert books.topup(str(books.ask()["topup_id"]))["amount"] == 1000


def test_once_the_price_is_what_it_was_an_owner_may_resume(books: Books) -> None:
    low(books)
    books.query(DOUBLED)
    books.ask()
    books.query("update billing.credit_packages set amount = 500 where id = 'credits_100'")
    assert books.ledger.resume_auto_topup("a", "owner")["paused_reason"] is None
    assert books.topup(str(books.ask()["topup_id"]))["amount"] == 500


@pytest.mark.parametrize("shown", [{"amount": 500, "currency": "usd"}, {"amount": 5000, "currency": "eur"}])
def test_a_consent_to_a_price_that_is_not_that_of_now_is_refused(books: Books, shown: dict[str, Any]) -> None:
    books.query(DOUBLED)
    with books.refused("consent_required") as caught:
        consent(books, charge=shown)
    assert caught.value.extra["amount"] == 1000


def test_a_consent_without_a_price_has_agreed_to_none(books: Books) -> None:
    low(books)
    books.query(
        "insert into billing.auto_topup_consents (account_id, actor, enabled, text_version, settings)"
        " select account_id, actor, enabled, text_version, settings from billing.auto_topup_consents"
    )
    assert books.ask()["reason"] == "price_changed"


SIZES: list[tuple[dict[str, Any], float, tuple[bool, int, int | None]]] = [
    ({}, 5, (False, 100, 1)),
    ({}, -90, (True, 100, 2)),
    ({}, -250, (True, 100, 3)),
    ({"mode": "target", "credits": 200 * CREDIT}, 10, (False, 190, None)),
    ({"mode": "target", "credits": 200 * CREDIT}, 9, (True, 190, None)),
]


@pytest.mark.parametrize(("settings", "left", "said"), SIZES)
def test_a_charge_larger_than_the_smallest_says_so(
    books: Books, settings: dict[str, Any], left: float, said: tuple[bool, int, int | None]
) -> None:
    consent(books, **settings)
    low(books, left)
    books.settle(str(books.topup(books.charge())["payment_id"]))
    payload = books.value("select payload from billing.outbox where topic = 'topup.succeeded'")
    assert (payload["larger"], payload["least_credits"], payload["steps"]) == (
        said[0],
        said[1] * CREDIT,
        said[2],
    )


def test_the_size_is_compared_with_the_consent_of_the_charge_and_not_with_a_later_one(books: Books) -> None:
    low(books)
    topup = books.charge()
    consent(books, credits=50 * CREDIT)
    books.settle(str(books.topup(topup)["payment_id"]))
    payload = books.value("select payload from billing.outbox where topic = 'topup.succeeded'")
    assert (payload["larger"], payload["steps"]) == (False, 1)
    books.assert_sound()
