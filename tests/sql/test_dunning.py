"""Dunning: automatic charges that stopped give grace, then a pause; whatever mends them ends both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books
from tests.sql.test_reversals import dispute, tell

HOURS, BELOW = 48, 20


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    """5 credits, below the threshold of 10."""
    books.open("a", 5)
    books.enable()


def dun(books: Books, hours: int | None = HOURS, below: float = BELOW) -> int:
    return books.ledger.dun_accounts(hours, int(below * CREDIT), 100)


def standing(books: Books) -> tuple[str, float, bool]:
    """Status, overdraft in credits, and whether there is a time by which to pay."""
    row = books.query(
        "select status, overdraft, grace_until from billing.credit_balances where account_id = 'a'"
    )[0]
    return row["status"], row["overdraft"] / CREDIT, row["grace_until"] is not None


def stop(books: Books, code: str = "stolen_card") -> None:
    assert books.decline(books.charge(), code)["paused_reason"] == "card_declined"


def in_grace(books: Books) -> None:
    stop(books)
    assert dun(books) == 1
    assert standing(books) == ("grace", BELOW, True)


def paused(books: Books) -> None:
    in_grace(books)
    books.age(f"{HOURS} hours")
    assert dun(books) == 1
    assert standing(books) == ("paused", 0, True)


def another_card(books: Books) -> None:
    books.ledger.set_default_payment_method("a", "pm_2", {"brand": "visa"}, "owner")


def card_gone(books: Books) -> None:
    books.ledger.set_default_payment_method("a", None, None, "owner")


def purchase(books: Books) -> None:
    books.settle(books.buy())


def click(books: Books) -> None:
    books.ledger.resume_auto_topup("a", "owner")


def late_success(books: Books) -> None:
    """Stripe tells of a success after all: the top-up was declined in our books only."""
    books.settle(books.value("select payment_id from billing.topups order by created_at desc limit 1"))


CURES: list[Callable[[Books], None]] = [another_card, purchase, click, late_success]


def test_a_decline_that_will_be_tried_again_gives_no_grace(books: Books) -> None:
    books.decline(books.charge())
    with books.nothing_moves():
        assert dun(books) == 0


def test_a_stop_gives_grace_once_and_tells_once(books: Books) -> None:
    in_grace(books)
    with books.nothing_moves():
        assert dun(books) == 0
    notice = books.query("select payload from billing.outbox where topic = 'account.grace'")
    assert [row["payload"]["reason"] for row in notice] == ["card_declined"]
    assert notice[0]["payload"]["credits"] == BELOW * CREDIT
    seen: Any = books.ledger.get_balance("a")
    assert (seen["status"], seen["available"]) == ("grace", 25 * CREDIT)
    assert notice[0]["payload"]["grace_until"] == seen["grace_until"]
    books.assert_sound()


def test_without_grace_hours_nobody_is_paused_and_only_what_was_paid_for_is_spent(books: Books) -> None:
    stop(books)
    with books.nothing_moves():
        assert dun(books, None) == 0
    books.age("1 year")
    assert dun(books, None) == 0
    books.spend(5)
    with books.refused("insufficient_credits"):
        books.spend(0.000001)
    assert standing(books) == ("active", 0, False)


def test_in_grace_an_account_spends_so_far_below_zero_and_no_further(books: Books) -> None:
    in_grace(books)
    books.spend(15)
    books.place(10, "held")
    for beyond in (lambda: books.spend(0.000001), lambda: books.place(0.000001)):
        with books.refused("insufficient_credits"):
            beyond()
    books.assert_sound()
    books.finish("held", 10)
    assert books.balance() == -BELOW
    books.assert_sound()


def test_when_grace_is_over_nothing_is_spent_or_held_but_an_open_hold_is_settled(books: Books) -> None:
    in_grace(books)
    books.place(3, "open")
    books.place(4, "lease")
    books.age(f"{HOURS - 1} hours")
    assert dun(books) == 0
    books.query("update billing.credit_holds set expires_at = now() + interval '1 day'")
    books.query("update billing.credit_balances set grace_until = now()")
    assert dun(books) == 1
    assert books.notices("account.paused") == 1
    assert books.ledger.get_balance("a")["pause_reason"] == "payment_failed"  # type: ignore[typeddict-item]
    event = {"id": "s", "amount": CREDIT}
    for refused in (
        lambda: books.spend(1),
        lambda: books.place(1),
        lambda: books.place(1, parent_id="lease"),
        lambda: books.ledger.spend_credits("a", event | {"hold_id": "lease"}),
    ):
        with books.refused("account_paused") as caught:
            refused()
        assert caught.value.extra["reason"] == "payment_failed"
    assert books.ask()["reason"] in ("card_declined", "account_paused")
    books.finish("open", 3)
    assert books.balance() == 2
    assert dun(books) == 0
    assert books.notices("account.paused") == 1
    books.assert_sound()


@pytest.mark.parametrize("trouble", [in_grace, paused])
@pytest.mark.parametrize("cure", CURES)
def test_what_mends_charges_makes_the_account_active(
    books: Books, trouble: Callable[[Books], None], cure: Callable[[Books], None]
) -> None:
    trouble(books)
    cure(books)
    assert standing(books) == ("active", 0, False)
    assert books.ledger.get_balance("a")["grace_until"] is None  # type: ignore[typeddict-item]
    books.spend(1)
    with books.nothing_moves():
        assert dun(books) == 0
    books.assert_sound()


def test_a_purchase_without_a_card_ends_dunning_for_this_stop(books: Books) -> None:
    card_gone(books)
    assert dun(books) == 1
    purchase(books)
    assert books.settings()["paused_reason"] == "no_payment_method"
    assert standing(books) == ("active", 0, False)
    assert dun(books) == 0


def test_a_new_stop_gets_a_grace_of_its_own(books: Books) -> None:
    in_grace(books)
    books.age("1 hour")
    another_card(books)
    stop(books)
    assert dun(books) == 1
    assert books.notices("account.grace") == 2


@pytest.mark.parametrize(
    "gone", [card_gone, lambda b: b.ledger.finish_topup(b.charge(), "action_required", {})]
)
def test_a_card_that_is_gone_or_wants_its_holder_is_dunned(
    books: Books, gone: Callable[[Books], None]
) -> None:
    gone(books)
    assert dun(books) == 1
    assert standing(books) == ("grace", BELOW, True)


@pytest.mark.parametrize("trouble", [in_grace, paused])
def test_who_has_switched_auto_topup_off_is_not_dunned(
    books: Books, trouble: Callable[[Books], None]
) -> None:
    trouble(books)
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    assert standing(books) == ("active", 0, False)
    assert dun(books) == 0
    books.assert_sound()


def test_a_stop_after_switching_off_is_not_dunned(books: Books) -> None:
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    card_gone(books)
    assert dun(books) == 0


@pytest.mark.parametrize("trouble", [in_grace, paused])
def test_without_the_setting_any_more_everybody_is_freed(
    books: Books, trouble: Callable[[Books], None]
) -> None:
    trouble(books)
    assert dun(books, None) == 1
    assert standing(books) == ("active", 0, False)
    assert dun(books, None) == 0


@pytest.mark.parametrize("cure", CURES[:3])
def test_a_cure_does_not_unfreeze_a_disputed_account(books: Books, cure: Callable[[Books], None]) -> None:
    payment = books.buy()
    books.settle(payment)
    books.spend(100)
    paused(books)
    tell(books, payment, disputes=[dispute("needs_response")])
    cure(books)
    with pytest.raises(Refused) as caught:
        books.spend(1)
    assert caught.value.extra["reason"] == "dispute"
    assert standing(books) == ("paused", 0, False)
    tell(books, payment, disputes=[dispute("won")])
    assert standing(books) == ("active", 0, False)
    books.assert_sound()


def test_a_dispute_that_is_won_neither_ends_a_pause_nor_loses_grace(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    books.spend(100)
    in_grace(books)
    tell(books, payment, disputes=[dispute("needs_response")])
    assert standing(books)[0] == "paused"
    books.assert_sound()
    tell(books, payment, disputes=[dispute("won")])
    assert standing(books) == ("grace", BELOW, True)
    tell(books, payment, disputes=[dispute("needs_response")])
    books.age(f"{HOURS} hours")
    assert dun(books) == 0
    tell(books, payment, disputes=[dispute("won")])
    assert standing(books) == ("paused", 0, True)
    assert books.notices("account.paused") == 1
    books.assert_sound()


def test_a_disputed_account_gets_its_grace_after_the_dispute(books: Books) -> None:
    payment = books.buy()
    books.settle(payment)
    tell(books, payment, disputes=[dispute("needs_response")])
    card_gone(books)
    assert dun(books) == 0
    tell(books, payment, disputes=[dispute("won")])
    assert dun(books) == 1
    assert standing(books)[0] == "grace"


def test_twenty_sweeps_at_once_give_one_grace_and_tell_once(books: Books) -> None:
    stop(books)
    answers = books.together(20, lambda _: dun(books))
    assert sum(answer for answer in answers if isinstance(answer, int)) == 1, answers
    assert books.notices("account.grace") == 1


def test_the_first_success_after_a_decline_tells_that_charges_work_again(books: Books) -> None:
    books.decline(books.charge())
    books.age("1 hour")
    for _ in range(2):
        books.settle(str(books.topup(books.charge())["payment_id"]))
        books.use(books.balance())
        books.age("2 hours")
    assert (books.notices("topup.succeeded"), books.notices("topup.recovered")) == (2, 1)


@pytest.mark.parametrize("cure", [another_card, click])
def test_the_first_success_after_a_pause_tells_it_too(books: Books, cure: Callable[[Books], None]) -> None:
    in_grace(books)
    cure(books)
    assert books.notices("topup.recovered") == 0
    books.settle(str(books.topup(books.charge())["payment_id"]))
    assert books.notices("topup.recovered") == 1
    books.assert_sound()


def test_a_success_that_follows_nothing_bad_is_no_recovery(books: Books) -> None:
    books.settle(str(books.topup(books.charge())["payment_id"]))
    assert (books.notices("topup.succeeded"), books.notices("topup.recovered")) == (1, 0)


@pytest.mark.parametrize("trouble", [in_grace, paused])
def test_35_a_purchase_mends_but_never_switches_on_what_is_off(
    books: Books, trouble: Callable[[Books], None]
) -> None:
    trouble(books)
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    purchase(books)
    assert books.settings()["enabled"] is False
    assert books.ask()["reason"] == "off"
