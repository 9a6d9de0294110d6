"""Only spending arms auto top-up; what takes credits otherwise charges nothing until the next spend."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books

Act = Callable[[Books], Any]


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    """150 credits, 100 of them bought for 5 dollars; topped up by 100 at 50."""
    books.open("a", 50)
    books.ledger.link_customer("a", "cus_a")
    books.settle(books.buy())
    books.ledger.set_default_payment_method("a", "pm_1", {"brand": "visa"}, "test")
    books.enable(threshold=50 * CREDIT)


def reverse(books: Books, payment: str = "pay_1", **facts: list[dict[str, Any]]) -> dict[str, Any]:
    version = books.ledger.get_reversals(payment)["version"]
    found = {"refunds": [], "disputes": []} | facts
    return dict(books.ledger.reverse_payment(payment, version, found))


def refund(amount: int, name: str = "re_1", status: str = "succeeded") -> dict[str, Any]:
    return {"id": name, "amount": amount, "status": status, "reason": None, "created": 1}


def dispute(status: str, *, withdrawn: bool, amount: int = 500) -> dict[str, Any]:
    facts = {"id": "du_1", "amount": amount, "status": status, "reason": "general", "created": time.time()}
    return facts | {"withdrawn": withdrawn}


def adjust(books: Books, credits: float) -> dict[str, Any]:
    return dict(
        books.ledger.adjust_credits(books.fresh("adj"), "a", int(credits * CREDIT), "a correction", "op")
    )


def lot_that_ends(books: Books) -> None:
    books.grant("ends", 60, expires_in="1 hour")
    books.use(60)
    books.grant("ends too", 40, expires_in="1 hour", priority=1)
    books.use(60)
    books.age("2 hours")
    books.ledger.expire_lots(10)


def is_due(books: Books) -> bool:
    """Whether the sweep would look at the account, or a check that comes by itself would charge."""
    asked = books.ledger.due_work(10)["accounts"] == ["a"]
    opened = books.ask(demand=False)["topup_id"] is not None
    assert asked <= opened
    return opened


NO_SPEND: dict[str, Act] = {
    "refund of a part": lambda books: reverse(books, refunds=[refund(499)]),
    "two refunds of parts": lambda books: reverse(books, refunds=[refund(250), refund(249, "re_2")]),
    "pending refund": lambda books: reverse(books, refunds=[refund(499, status="pending")]),
    "adjustment": lambda books: adjust(books, -120),
    "adjustment into debt": lambda books: adjust(books, -500),
    "expiry": lot_that_ends,
}


@pytest.mark.parametrize("what", NO_SPEND)
def test_what_takes_credits_without_a_spend_charges_nothing_until_the_next_spend(
    books: Books, what: str
) -> None:
    NO_SPEND[what](books)
    if books.balance() > 50:  # the refund of a part leaves more than the threshold
        adjust(books, 50 - books.balance())
    assert books.settings()["paused_reason"] is None
    assert not is_due(books)
    # Neither later, nor by whatever looks at the account again.
    books.age("3 days")
    books.enable(threshold=51 * CREDIT)
    books.ledger.set_default_payment_method("a", "pm_2", {"brand": "visa"}, "test")
    books.ledger.resume_auto_topup("a", "owner")
    assert not is_due(books)
    assert books.ledger.get_auto_topup("a")["waiting_reason"] == "next_spend"
    books.use(1)
    assert is_due(books)
    books.assert_sound()


SPENDS: dict[str, Act] = {
    "use": lambda books: books.spend(1),
    "usage": lambda books: books.use(1),
    "batch": lambda books: books.ledger.record_usage(
        [{"id": f"batch-{n}", "amount": CREDIT // 2} for n in range(2)], "a"
    ),
    "hold": lambda books: books.place(1),
    "settlement of more than was held": lambda books: books.finish("early", 10),
    "settlement of what was held": lambda books: books.finish("early", 5),
    "spend from a hold": lambda books: books.ledger.spend_credits(
        "a", {"id": "inner", "amount": CREDIT, "hold_id": "early"}
    ),
    "hold below a hold": lambda books: books.place(1, parent_id="early"),
    "draw of a lease": lambda books: books.draw("early", "draw-1", 1),
    "renewal of a lease": lambda books: books.draw("early", "draw-1", 0, reserve=CREDIT),
    "a spend that was refused": lambda books: books.ledger.demand_topup("a", "refused-1"),
}


@pytest.mark.parametrize("what", SPENDS)
def test_every_kind_of_spend_arms_and_the_charge_names_it(books: Books, what: str) -> None:
    books.place(5, "early")
    adjust(books, 45 - (books.balance() - 5))
    assert not is_due(books)
    SPENDS[what](books)
    assert books.ledger.due_work(10)["accounts"] == ["a"]
    topup = books.topup(str(books.ask(demand=False)["topup_id"]))
    kind = "hold" if what.startswith(("hold", "renewal")) else "refused" if "refused" in what else "entry"
    assert topup["cause"].partition(":")[0] == kind
    books.assert_sound()


@pytest.mark.parametrize(
    "act",
    [
        lambda books: books.finish("early", 0),
        lambda books: books.draw("early", "draw-1", 0),
        lambda books: books.ledger.release_hold("a", "early"),
        lambda books: books.ledger.extend_hold("a", "early", 60),
    ],
)
def test_a_settlement_of_nothing_or_the_end_of_a_hold_is_no_spend(books: Books, act: Act) -> None:
    books.place(5, "early")
    adjust(books, 40 - books.balance())
    act(books)
    assert not is_due(books)


def test_a_refused_spend_arms_at_the_threshold_alone_and_once(books: Books) -> None:
    with books.nothing_moves():
        assert books.ledger.demand_topup("a", "above") is False
    adjust(books, 50 - books.balance())
    assert books.ledger.demand_topup("a", "at") is True
    with books.nothing_moves():
        assert books.ledger.demand_topup("a", "again") is True
    assert books.topup(str(books.ask(demand=False)["topup_id"]))["cause"] == "refused:at"
    with books.refused("unknown_account"):
        books.ledger.demand_topup("nobody", "at")


@pytest.mark.parametrize(
    "act",
    [
        lambda books: reverse(books, disputes=[dispute("warning_needs_response", withdrawn=False)]),
        lambda books: books.ledger.warn_of_fraud("issfr_1", "pay_1", "misc"),
        lambda books: reverse(books, refunds=[refund(100)]),
        lambda books: adjust(books, -1),
    ],
)
def test_what_comes_after_the_spend_and_before_the_charge_prevents_it(books: Books, act: Act) -> None:
    books.spend(100)
    topup_id = str(books.ask(demand=False)["topup_id"])
    books.ledger.attach_topup_intent(topup_id, "pi_1")
    act(books)
    assert not books.ledger.begin_topup_charge(topup_id)["go"]
    assert books.topup(topup_id)["state"] == "canceled"
    assert not is_due(books)
    books.assert_sound()


def test_an_inquiry_that_is_closed_charges_nothing_until_the_next_spend(books: Books) -> None:
    books.spend(100)
    reverse(books, disputes=[dispute("warning_needs_response", withdrawn=False)])
    reverse(books, disputes=[dispute("warning_closed", withdrawn=False)])
    assert not is_due(books)
    books.spend(1)
    assert is_due(books)


def test_a_dispute_that_is_won_charges_nothing_until_the_next_spend(books: Books) -> None:
    books.spend(100)
    reverse(books, disputes=[dispute("needs_response", withdrawn=True)])
    reverse(books, disputes=[dispute("won", withdrawn=False)])
    assert books.balance() == 50
    assert not is_due(books)
    books.spend(1)
    assert is_due(books)
    books.assert_sound()


def test_the_same_reading_of_stripe_again_does_not_disarm(books: Books) -> None:
    reverse(books, refunds=[refund(100)])
    books.spend(80)
    reverse(books, refunds=[refund(100)])
    assert is_due(books)


WHOLE: dict[str, Act] = {
    "one refund": lambda books: reverse(books, refunds=[refund(500)]),
    "several refunds": lambda books: reverse(books, refunds=[refund(300), refund(200, "re_2")]),
    "one after the other": lambda books: (
        reverse(books, refunds=[refund(300)]),
        reverse(books, refunds=[refund(300), refund(200, "re_2")]),
    ),
    "a pending one": lambda books: reverse(books, refunds=[refund(500, status="pending")]),
    "a refund that ends a dispute": lambda books: (
        reverse(books, disputes=[dispute("warning_needs_response", withdrawn=False)]),
        reverse(books, refunds=[refund(500)], disputes=[dispute("warning_closed", withdrawn=False)]),
    ),
}


@pytest.mark.parametrize("what", WHOLE)
def test_a_full_refund_pauses_with_one_notice_and_one_click_resumes(books: Books, what: str) -> None:
    WHOLE[what](books)
    books.use(1)
    assert books.settings()["paused_reason"] == "refunded"
    assert books.notices("topup.paused") == 1
    assert not is_due(books)
    # What lifts the pause of a declined card does not lift this one.
    books.ledger.set_default_payment_method("a", "pm_2", {"brand": "visa"}, "test")
    books.settle(books.buy())
    books.use(books.balance() - 20)
    assert books.settings()["paused_reason"] == "refunded"
    assert books.ledger.resume_auto_topup("a", "owner")["paused_reason"] is None
    assert is_due(books), "credits were spent after the refund"
    books.assert_sound()


def test_the_refund_that_paused_does_not_pause_again_after_the_click(books: Books) -> None:
    reverse(books, refunds=[refund(500)])
    books.ledger.resume_auto_topup("a", "owner")
    reverse(books, refunds=[refund(500)])
    assert books.settings()["paused_reason"] is None
    assert not is_due(books)


def test_a_full_refund_takes_the_place_of_a_pause_that_another_card_would_end(books: Books) -> None:
    books.spend(100)
    books.decline(books.charge(), "lost_card")
    assert books.settings()["paused_reason"] == "card_declined"
    reverse(books, refunds=[refund(500)])
    books.ledger.set_default_payment_method("a", "pm_2", {"brand": "visa"}, "test")
    assert books.settings()["paused_reason"] == "refunded"


def test_a_refund_that_fails_gives_credits_back_and_resumes_nothing(books: Books) -> None:
    reverse(books, refunds=[refund(500)])
    reverse(books, refunds=[refund(500, status="failed")])
    assert (books.balance(), books.settings()["paused_reason"]) == (150, "refunded")


def test_a_refund_pauses_nothing_that_is_off(books: Books) -> None:
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    reverse(books, refunds=[refund(500)])
    assert books.notices("topup.paused") == 0
    books.enable(threshold=50 * CREDIT)
    assert books.settings()["paused_reason"] is None
    assert not is_due(books)


def test_five_refunds_of_automatic_charges_lead_to_one_charge_and_no_more(books: Books) -> None:
    books.spend(100)
    first = books.charge()
    payment = books.topup(first)["payment_id"]
    books.settle(payment)
    for number in range(1, 6):
        reverse(books, payment, refunds=[refund(100, f"re_{n}") for n in range(number)])
        assert not is_due(books)
    assert books.settings()["paused_reason"] == "refunded"
    assert books.value("select count(*) from billing.topups") == 1
    books.assert_sound()


def test_refunded_charges_leave_room_in_the_caps_by_what_was_refunded(books: Books) -> None:
    books.enable(threshold=50 * CREDIT, caps={"day": 500, "month": 500, "currency": "usd"})
    books.spend(100)
    payment = books.topup(books.charge())["payment_id"]
    books.settle(payment)
    reverse(books, payment, refunds=[refund(499)])
    books.spend(books.balance() - 10)
    assert books.ask(demand=False)["reason"] in ("cap_day", "cap_month")
    assert books.ledger.get_auto_topup("a")["spent"]["day"] == 1
    reverse(books, payment, refunds=[refund(499), refund(1, "re_2")])
    books.ledger.resume_auto_topup("a", "owner")
    books.use(1)
    second = books.charge()
    books.settle(books.topup(second)["payment_id"])
    # A refund that fails afterwards makes nothing of this a violation.
    reverse(books, payment, refunds=[refund(499, status="failed"), refund(1, "re_2")])
    books.assert_sound()
