"""billing.begin_topup_charge: the last look before money moves, under the account's lock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sql.books import CREDIT, Books

OFF = {"enabled": False}


@pytest.fixture
def topup(books: Books) -> str:
    """An open charge that has not left yet."""
    books.open("a", 5)
    books.enable()
    topup = str(books.ask()["topup_id"])
    books.ledger.attach_topup_intent(topup, f"pi_{topup}")
    return topup


def test_a_charge_that_is_still_wanted_goes_and_says_so_again_when_asked_again(
    books: Books, topup: str
) -> None:
    assert books.ledger.begin_topup_charge(topup) == {"go": True, "reason": None}
    left = books.topup(topup)["confirming_at"]
    assert left is not None
    assert books.ledger.begin_topup_charge(topup) == {"go": True, "reason": None}
    row = books.topup(topup)
    assert (row["state"], row["status"], row["confirming_at"]) == ("processing", "processing", left)


def bought(books: Books) -> None:
    books.query(
        "insert into billing.payments (id, account_id, purpose, credits, amount, currency, stripe_customer_id)"
        " values ('early', 'a', 'purchase', 100000000, 500, 'usd', 'cus_a')"
    )
    books.settle("early")


REASONS: dict[str, Callable[[Books], object]] = {
    "switched_off": lambda books: books.ledger.set_auto_topup("a", OFF, "owner"),
    "no_longer_needed": bought,
    "payment_method_changed": lambda books: books.ledger.set_default_payment_method("a", "pm_2", {}, "owner"),
    "no_payment_method": lambda books: books.ledger.set_default_payment_method("a", None, None, "owner"),
    "account_paused": lambda books: books.pause_by_dispute(),
    "customer_deleted": lambda books: books.ledger.mark_customer_deleted("cus_a"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_charge_that_is_not_wanted_any_more_never_leaves(books: Books, topup: str, reason: str) -> None:
    REASONS[reason](books)
    entries = books.value("select count(*) from billing.credit_transactions")
    answer = books.ledger.begin_topup_charge(topup)
    assert not answer["go"]
    # A deleted customer switches auto top-up off, which is what the charge then finds.
    assert answer["reason"] == {"customer_deleted": "switched_off"}.get(reason, reason)
    row = books.topup(topup)
    assert (row["state"], row["status"], row["confirming_at"]) == ("canceled", "canceled", None)
    assert books.value("select count(*) from billing.credit_transactions") == entries
    with books.nothing_moves():
        assert not books.ledger.begin_topup_charge(topup)["go"]
        assert books.ledger.claim_topup(topup) is None
    assert books.settings()["declines"] == 0
    books.assert_sound()


def test_behind_a_changed_card_the_next_charge_uses_the_new_one(books: Books, topup: str) -> None:
    REASONS["payment_method_changed"](books)
    books.ledger.begin_topup_charge(topup)
    assert books.ledger.due_work(10)["accounts"] == ["a"]
    assert books.topup(str(books.ask()["topup_id"]))["payment_method"] == "pm_2"


def test_money_that_had_left_before_auto_topup_was_switched_off_is_granted(books: Books, topup: str) -> None:
    """Nothing is confirmed again, but what Stripe took is paid out in credits."""
    books.ledger.begin_topup_charge(topup)
    books.ledger.set_auto_topup("a", OFF, "owner")
    assert books.ledger.begin_topup_charge(topup) == {"go": False, "reason": "switched_off"}
    assert books.settle(str(books.topup(topup)["payment_id"]))["outcome"] == "granted"
    assert books.balance() == 105
    assert books.ask()["reason"] == "off"
    books.assert_sound()


def test_switching_off_and_the_last_look_decide_one_after_the_other(books: Books, topup: str) -> None:
    with books.database.connect(autocommit=False) as person:
        person.execute("""select billing.set_auto_topup('a', '{"enabled": false}', 'owner')""")
        running = books.start(lambda: books.ledger.begin_topup_charge(topup))
        books.await_blocked()
        person.commit()
        assert running.result(timeout=20) == {"go": False, "reason": "switched_off"}


def test_of_sixteen_looks_at_once_all_say_the_same(books: Books, topup: str) -> None:
    answers = books.together(16, lambda _: books.ledger.begin_topup_charge(topup)["go"])
    assert answers == [True] * 16


def test_an_unknown_charge_is_refused(books: Books) -> None:
    with books.refused("not_found"):
        books.ledger.begin_topup_charge("nobody")


@pytest.mark.parametrize(
    "reason", ["payment_method_unusable", "customer_deleted", "authentication_expired", "stripe_refused"]
)
def test_a_charge_that_stripe_will_not_take_pauses_without_counting_a_decline(
    books: Books, topup: str, reason: str
) -> None:
    assert books.ledger.finish_topup(topup, "canceled", {"reason": reason})["paused_reason"] == reason
    assert books.settings()["declines"] == 0
    assert books.notices("topup.paused") == 1
    assert books.balance() * CREDIT == 5 * CREDIT
