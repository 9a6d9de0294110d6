"""Freezes: what keeps an account from spending, what only keeps its card from being charged, and how operators lift it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)
    books.enable()


@pytest.fixture
def payment(books: Books) -> str:
    """100 credits for 5 dollars, granted."""
    name = books.buy()
    books.settle(name)
    return name


def dispute(status: str, name: str = "dp_1", amount: int = 500) -> dict[str, Any]:
    return {
        "id": name, "amount": amount, "status": status, "reason": "fraudulent", "created": int(time.time()),
        "withdrawn": False,
    }  # fmt: skip


def tell(books: Books, payment: str, *disputes: dict[str, Any], freeze_on: str | None = None) -> None:
    version = books.ledger.get_reversals(payment)["version"]
    facts: dict[str, Any] = {"refunds": [], "disputes": list(disputes)}
    books.ledger.reverse_payment(payment, version, facts | ({"freeze_on": freeze_on} if freeze_on else {}))


def status(books: Books) -> str:
    return str(books.ledger.get_account("a")["status"])


def lift(books: Books, *covers: str) -> dict[str, Any]:
    return dict(
        books.ledger.unfreeze_account("a", list(covers) or None, "The customer is known", "operator:dana")
    )


def cross(books: Books) -> None:
    """Spends down to the threshold."""
    books.spend(books.balance() - 10)


def uncharged(books: Books, reason: str) -> None:
    """Nothing is due, and whoever asks for a charge is told why there is none."""
    assert books.ask()["reason"] == reason
    assert books.ledger.due_work(10)["accounts"] == []
    assert books.value("select count(*) from billing.topups") == 0
    settings = {"enabled": True, "threshold": 10 * CREDIT, "credits": 100 * CREDIT}
    assert books.ledger.preview_auto_topup("a", settings)["outcome"] in (reason, "paused")


def test_an_inquiry_lets_the_account_spend_and_charges_nothing(books: Books, payment: str) -> None:
    tell(books, payment, dispute("warning_needs_response"))
    assert status(books) == "active"
    assert books.ledger.get_balance("a")["dispute"] == "inquiry"
    cross(books)
    uncharged(books, "inquiry_open")
    assert books.ledger.get_auto_topup("a")["paused_reason"] == "inquiry_open"
    books.assert_sound()
    tell(books, payment, dispute("warning_closed"))
    assert books.ledger.get_auto_topup("a")["paused_reason"] is None
    assert books.ledger.get_balance("a")["dispute"] is None
    books.spend(1)
    assert books.ask()["topup_id"]
    books.assert_sound()


def test_a_charge_is_not_sent_once_the_bank_asks(books: Books, payment: str) -> None:
    cross(books)
    topup = str(books.ask()["topup_id"])
    tell(books, payment, dispute("warning_under_review"))
    assert books.ledger.begin_topup_charge(topup) == {"go": False, "reason": "inquiry_open"}
    assert books.topup(topup)["state"] == "canceled"
    books.assert_sound()


def test_an_inquiry_that_becomes_a_dispute_freezes_then_and_is_told_again(books: Books, payment: str) -> None:
    tell(books, payment, dispute("warning_needs_response"))
    books.spend(1)
    tell(books, payment, dispute("needs_response"))
    with books.refused("account_paused"):
        books.spend(1)
    told = books.query("select payload from billing.outbox where topic = 'dispute.opened' order by id")
    assert [(row["payload"]["inquiry"], row["payload"]["frozen"]) for row in told] == [
        (True, False),
        (False, True),
    ]
    tell(books, payment, dispute("needs_response"))
    tell(books, payment, dispute("won"))
    assert (books.notices("dispute.opened"), books.notices("dispute.closed")) == (2, 1)
    assert status(books) == "active"
    books.assert_sound()


FREEZES = [
    ("dispute", "needs_response", True), ("dispute", "warning_under_review", False), ("dispute", "a_new_status", True),
    ("inquiry", "needs_response", True), ("inquiry", "warning_needs_response", True), ("inquiry", "warning_closed", False),
    ("never", "needs_response", False), ("never", "warning_needs_response", False), ("never", "under_review", False),
]  # fmt: skip


@pytest.mark.parametrize(("freeze_on", "said", "frozen"), FREEZES)
def test_what_freezes_is_a_setting(
    books: Books, payment: str, freeze_on: str, said: str, frozen: bool
) -> None:
    tell(books, payment, dispute(said), freeze_on=freeze_on)
    assert status(books) == ("paused" if frozen else "active")
    books.assert_sound()


def test_another_value_of_the_setting_reaches_what_is_open(books: Books, payment: str) -> None:
    tell(books, payment, dispute("warning_needs_response"))
    for policy, expected in (
        ("inquiry", "paused"),
        ("never", "active"),
        ("inquiry", "paused"),
        ("dispute", "active"),
    ):
        assert books.ledger.set_freeze_policy(policy, 10) == 1
        assert books.ledger.set_freeze_policy(policy, 10) == 0
        assert status(books) == expected
        books.assert_sound()
    with books.refused("invalid_value"):
        books.ledger.set_freeze_policy("sometimes", 10)


def test_a_dispute_that_freezes_nobody_still_stops_charges(books: Books, payment: str) -> None:
    tell(books, payment, dispute("needs_response"), freeze_on="never")
    cross(books)
    uncharged(books, "dispute_open")
    assert books.ledger.resume_auto_topup("a", "owner")["paused_reason"] == "dispute_open"
    books.spend(1)
    uncharged(books, "dispute_open")
    books.assert_sound()


def test_an_operator_lifts_a_freeze_and_nothing_is_charged_until_a_person_resumes(
    books: Books, payment: str
) -> None:
    tell(books, payment, dispute("needs_response"))
    done = lift(books)
    assert (done["status"], done["lifted"]) == ("active", ["dp_1"])
    cross(books)
    assert books.ledger.get_auto_topup("a")["paused_reason"] == "dispute_open"
    uncharged(books, "freeze_lifted")
    books.assert_sound()
    tell(books, payment, dispute("won"))
    books.spend(1)
    uncharged(books, "freeze_lifted")
    books.ledger.set_default_payment_method("a", "pm_2", {"brand": "visa"}, "owner")
    books.settle(books.buy())
    assert books.settings()["paused_reason"] == "freeze_lifted"
    cross(books)
    books.ledger.resume_auto_topup("a", "owner")
    books.spend(1)
    assert books.ask()["topup_id"]
    books.assert_sound()


def test_a_lift_is_kept_in_the_audit_log_and_with_the_dispute(books: Books, payment: str) -> None:
    tell(books, payment, dispute("needs_response"))
    lift(books)
    kept = books.query("select actor, details from billing.audit_log where action = 'account.unfrozen'")
    assert kept == [
        {"actor": "operator:dana", "details": {"reason": "The customer is known", "covers": ["dp_1"]}}
    ]
    (one,) = books.ledger.list_freezes("a")
    assert (one["id"], one["kind"], one["frozen"], one["lifted_by"], one["lift_reason"]) == (
        "dp_1", "dispute", False, "operator:dana", "The customer is known",
    )  # fmt: skip
    assert (one["amount"], one["currency"], one["payment_id"]) == (500, "usd", payment)


def test_reading_a_lifted_dispute_again_does_not_freeze_and_another_one_does(
    books: Books, payment: str
) -> None:
    first = dispute("needs_response", amount=5)  # one percent of what was paid
    tell(books, payment, first)
    lift(books)
    for said in ("needs_response", "under_review"):
        tell(books, payment, first | {"status": said})
        assert status(books) == "active"
    tell(books, payment, first, dispute("needs_response", "dp_2"))
    assert status(books) == "paused"
    assert [(one["id"], one["frozen"]) for one in books.ledger.list_freezes("a")] == [
        ("dp_2", True),
        ("dp_1", False),
    ]
    books.assert_sound()


def test_of_two_disputes_one_may_be_lifted(books: Books, payment: str) -> None:
    tell(books, payment, dispute("needs_response"), dispute("needs_response", "dp_2"))
    assert lift(books, "dp_1")["status"] == "paused"
    with books.refused("not_frozen"):
        lift(books, "dp_1")
    with books.refused("account_paused"):
        books.spend(1)
    assert lift(books, "dp_2", "grace")["lifted"] == ["dp_2"]
    books.spend(1)
    books.assert_sound()


def test_a_lifted_inquiry_freezes_again_as_a_dispute(books: Books, payment: str) -> None:
    tell(books, payment, dispute("warning_needs_response"), freeze_on="inquiry")
    assert status(books) == "paused"
    lift(books)
    assert status(books) == "active"
    tell(books, payment, dispute("needs_response"), freeze_on="inquiry")
    assert status(books) == "paused"
    lift(books)
    assert status(books) == "active"
    books.assert_sound()


def end_grace(books: Books) -> None:
    books.decline(books.charge(), "stolen_card")
    books.ledger.dun_accounts(1, 0, 10)
    books.age("2 hours")
    books.ledger.dun_accounts(1, 0, 10)


def test_the_end_of_a_grace_is_lifted_for_that_stop_alone(books: Books) -> None:
    cross(books)
    end_grace(books)
    assert status(books) == "paused"
    assert [one["id"] for one in books.ledger.list_freezes("a")] == ["grace"]
    assert lift(books)["lifted"] == ["grace"]
    books.spend(1)
    assert books.settings()["paused_reason"] == "card_declined"
    for _ in range(2):
        books.ledger.dun_accounts(1, 0, 10)
        assert status(books) == "active"
    assert books.ledger.list_freezes("a") == []
    books.assert_sound()
    books.ledger.resume_auto_topup("a", "owner")
    books.spend(1)
    end_grace(books)
    assert status(books) == "paused"


def test_a_dispute_and_the_end_of_a_grace_are_lifted_apart(books: Books, payment: str) -> None:
    cross(books)
    end_grace(books)
    tell(books, payment, dispute("needs_response"))
    assert lift(books, "grace")["status"] == "paused"
    assert books.ledger.get_balance("a")["pause_reason"] == "dispute"
    assert lift(books, "dp_1")["status"] == "active"
    books.assert_sound()


@pytest.mark.parametrize("said", [None, "warning_needs_response", "won"])
def test_lifting_is_refused_where_nothing_freezes(books: Books, payment: str, said: str | None) -> None:
    if said:
        tell(books, payment, dispute(said))
    with books.refused("not_frozen"):
        lift(books)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_lifting_needs_a_reason(books: Books, payment: str, reason: str) -> None:
    tell(books, payment, dispute("needs_response"))
    with books.refused("invalid_value"):
        books.ledger.unfreeze_account("a", None, reason, "operator:dana")
    with books.refused("unknown_account"):
        books.ledger.unfreeze_account("nobody", None, "why", "operator:dana")
