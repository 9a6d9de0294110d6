"""Refunds and disputes: credits follow the money, by payment, in any order and number."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books

PRICE = 500


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")


@pytest.fixture
def payment(books: Books) -> str:
    """100 credits for 5 dollars, granted."""
    name = books.buy()
    books.settle(name)
    return name


def refund(amount: int, number: int = 1, status: str = "succeeded") -> dict[str, Any]:
    return {
        "id": f"re_{number}",
        "amount": amount,
        "status": status,
        "reason": None,
        "created": 1_700_000_000,
    }


def dispute(status: str, amount: int = PRICE, *, withdrawn: bool = False) -> dict[str, Any]:
    return refund(amount, status=status) | {"id": "dp_1", "withdrawn": withdrawn, "created": int(time.time())}


def tell(books: Books, payment: str, *refunds: dict[str, Any], disputes: Any = ()) -> dict[str, Any]:
    version = books.ledger.get_reversals(payment)["version"]
    facts = {"refunds": list(refunds), "disputes": list(disputes)}
    return dict(books.ledger.reverse_payment(payment, version, facts))


def entries(books: Books, kind: str) -> list[float]:
    rows = books.query("select amount from billing.credit_transactions where kind = %s order by id", kind)
    return [row["amount"] / CREDIT for row in rows]


def test_55_a_full_refund_of_unspent_credits_takes_all_of_them_once(books: Books, payment: str) -> None:
    for _ in range(3):
        tell(books, payment, refund(PRICE))
    assert (books.balance(), entries(books, "refund")) == (0, [-100])
    assert books.notices("payment.refunded") == 1
    books.assert_sound()


def test_56_a_refund_of_spent_credits_is_a_debt_that_the_next_grant_pays(books: Books, payment: str) -> None:
    books.spend(70)
    tell(books, payment, refund(PRICE))
    assert books.balance() == -70
    with books.refused("insufficient_credits"):
        books.spend(1)
    books.settle(books.buy())
    assert (books.balance(), sum(books.lots().values())) == (30, 30)
    books.assert_sound()


def test_57_partial_refunds_take_the_share_of_all_of_them_however_often_they_are_told(
    books: Books, payment: str
) -> None:
    parts = [refund(100, 1), refund(150, 2), refund(250, 3)]
    for told in ([parts[0]], [parts[0]], parts[:2], parts[:2], parts, parts):
        tell(books, payment, *told)
    assert (books.balance(), entries(books, "refund")) == (0, [-20, -30, -50])
    books.assert_sound()


def test_58_a_refund_that_fails_gives_its_credits_back_once(books: Books, payment: str) -> None:
    tell(books, payment, refund(200))
    assert books.balance() == 60
    for _ in range(2):
        tell(books, payment, refund(200, status="failed"))
    assert (books.balance(), books.lots()) == (100, {payment: 100})
    books.assert_sound()


def test_59_a_dispute_freezes_takes_when_funds_are_withdrawn_and_returns_when_won(
    books: Books, payment: str
) -> None:
    books.enable()
    tell(books, payment, disputes=[dispute("needs_response")])
    assert books.balance() == 100
    with books.refused("account_paused"):
        books.spend(1)
    with books.refused("account_paused"):
        books.ledger.place_hold("a", {"id": "h", "amount": CREDIT})
    tell(books, payment, disputes=[dispute("under_review", withdrawn=True)])
    assert (books.balance(), entries(books, "dispute")) == (0, [-100])
    assert books.ask()["reason"] == "account_paused"
    tell(books, payment, disputes=[dispute("won", withdrawn=True)])
    assert (books.balance(), books.lots()) == (100, {payment: 100})
    assert books.spend(1)["available"] == 99 * CREDIT
    assert books.settings()["paused_reason"] is None
    assert (books.notices("dispute.opened"), books.notices("dispute.closed")) == (1, 1)
    books.assert_sound()


def test_a_lost_dispute_keeps_the_credits_and_a_person_resumes_automatic_charges(
    books: Books, payment: str
) -> None:
    books.enable()
    tell(books, payment, disputes=[dispute("needs_response", withdrawn=True)])
    books.use(5)  # what happened is booked, frozen or not
    tell(books, payment, disputes=[dispute("lost", withdrawn=True)])
    assert books.balance() == -5
    assert books.ask()["reason"] == "dispute_lost"
    books.ledger.resume_auto_topup("a", "owner")
    assert books.ask()["topup_id"]
    books.assert_sound()


def test_an_inquiry_takes_nothing_and_freezes_nothing(books: Books, payment: str) -> None:
    tell(books, payment, disputes=[dispute("warning_needs_response")])
    assert (books.balance(), books.ledger.get_account("a")["status"]) == (100, "active")
    tell(books, payment, disputes=[dispute("warning_closed")])
    assert (books.balance(), books.ledger.get_account("a")["status"]) == (100, "active")
    books.assert_sound()


def test_a_status_that_nobody_knows_leaves_the_account_frozen(books: Books, payment: str) -> None:
    tell(books, payment, disputes=[dispute("appeal_pending")])
    assert books.ledger.get_account("a")["status"] == "paused"


def test_60_a_refund_and_a_dispute_of_one_charge_take_the_grant_at_most(books: Books, payment: str) -> None:
    tell(books, payment, refund(300), disputes=[dispute("needs_response", withdrawn=True)])
    assert (books.balance(), entries(books, "refund"), entries(books, "dispute")) == (0, [-60], [-40])
    tell(books, payment, refund(300), disputes=[dispute("won")])
    assert books.balance() == 40
    books.assert_sound()


def test_partial_refund_then_a_lost_dispute_then_won_follow_the_money(books: Books) -> None:
    """Packs where 10 dollars are 250 credits give back credits, not dollars."""
    payment = books.buy(package="credits_250")
    books.settle(payment)
    steps = [
        ([refund(200)], [], 200),
        ([refund(200)], [dispute("needs_response", 800, withdrawn=True)], 0),
        ([refund(200)], [dispute("lost", 800, withdrawn=True)], 0),
        ([refund(200)], [dispute("won", 800)], 200),
    ]
    for refunds, disputes, left in steps:
        tell(books, payment, *refunds, disputes=disputes)
        assert books.balance() == left
        books.assert_sound()


def test_what_a_payment_returns_goes_back_to_its_own_lot_and_expires_with_it(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    books.grant("other", 50)
    books.spend(120)
    tell(books, payment, refund(PRICE))
    assert (books.balance(), books.lots()) == (-70, {payment: 0, "other": 0})
    tell(books, payment, refund(PRICE, status="canceled"))
    assert (books.balance(), books.lots()) == (30, {payment: 30, "other": 0})
    books.assert_sound()


def test_a_reading_that_is_older_than_another_changes_nothing(books: Books, payment: str) -> None:
    version = books.ledger.get_reversals(payment)["version"]
    tell(books, payment, refund(PRICE))
    with books.nothing_moves():
        facts = {"refunds": [], "disputes": []}
        assert books.ledger.reverse_payment(payment, version, facts)["outcome"] == "stale"


def test_a_refund_that_is_told_before_its_payment_is_taken_when_the_payment_is_granted(books: Books) -> None:
    payment = books.buy()
    tell(books, payment, refund(200))
    assert books.balance() == 0
    books.settle(payment)
    assert books.balance() == 60
    books.assert_sound()


def test_an_early_fraud_warning_pauses_automatic_charges_and_tells_operators_once(
    books: Books, payment: str
) -> None:
    books.enable()
    for _ in range(2):
        books.ledger.warn_of_fraud("issfr_1", payment, "made_with_stolen_card")
    books.use(95)
    assert (books.balance(), books.ask()["reason"]) == (5, "fraud_warning")
    assert books.notices("operations.fraud_warning") == 1
    books.assert_sound()


@pytest.mark.parametrize("call", ["get_reversals", "reverse_payment", "warn_of_fraud"])
def test_an_unknown_payment_is_refused(books: Books, call: str) -> None:
    arguments = {"get_reversals": ["x"], "reverse_payment": ["x", 0, {}], "warn_of_fraud": ["w", "x", None]}
    with books.nothing_moves(), pytest.raises(Refused) as caught:
        getattr(books.ledger, call)(*arguments[call])
    assert caught.value.code == "not_found"


def test_any_order_of_readings_ends_in_the_same_books(books: Books) -> None:
    """200 seeded histories: refunds that fail, disputes that come and go, spends between; the last reading decides."""
    books.grant("cushion", 1000)
    numbers = itertools.count(1)
    for seed in range(200):
        random_ = random.Random(seed)
        payment = books.buy()
        books.settle(payment)
        before = books.balance() - 100
        spent = 0
        for _ in range(random_.randint(1, 6)):
            refunds = [
                refund(
                    random_.randint(1, 200), next(numbers), random_.choice(["succeeded", "pending", "failed"])
                )
                for _ in range(random_.randint(0, 2))
            ]
            tell(books, payment, *refunds)
            if random_.random() < 0.5:
                books.use(1)
                spent += 1
        rows = books.query(
            "select * from billing.payment_reversals where payment_id = %s and is_taken", payment
        )
        gone = min(100, sum(row["amount"] for row in rows) / PRICE * 100)
        assert books.balance() == pytest.approx(before - spent + 100 - gone), seed
    books.assert_sound()


def test_two_readings_at_once_take_the_credits_once(books: Books, payment: str) -> None:
    version = books.ledger.get_reversals(payment)["version"]
    facts = {"refunds": [refund(PRICE)], "disputes": []}
    outcomes = books.together(8, lambda _n: books.ledger.reverse_payment(payment, version, facts)["outcome"])
    assert sorted(map(str, outcomes)) == ["reversed"] + ["stale"] * 7
    assert books.balance() == 0
    books.assert_sound()
