"""What an account is told, and how often: the outbox."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def test_a_low_balance_is_told_once_per_crossing_and_again_only_after_a_recovery(books: Books) -> None:
    """The level is 20 credits, and exactly at it counts."""
    books.spend(79.999999)
    assert books.notices("balance.low") == 0
    books.spend(0.000001)
    assert books.notices("balance.low") == 1
    for _ in range(5):
        books.spend(1)
    books.use(30)
    assert books.notices("balance.low") == 1
    books.grant("small", 5)
    books.use(1)
    assert books.notices("balance.low") == 1
    books.grant("large", 100)
    books.spend(10)
    assert books.notices("balance.low") == 1
    books.use(60)
    assert books.notices("balance.low") == 2


def test_sixteen_spends_across_the_level_tell_once(books: Books) -> None:
    books.together(16, lambda _: books.spend(6))
    assert books.notices("balance.low") == 1


def test_an_expiry_below_the_level_is_told(books: Books) -> None:
    books.open("b")
    books.grant("gone", 50, account="b", expires_in="1 hour")
    books.age("2 hours")
    books.ledger.expire_lots(10)
    assert books.notices("balance.low") == 1


def test_a_low_balance_is_told_while_auto_topup_is_on_but_failing(books: Books) -> None:
    books.enable()
    books.use(95)
    assert books.notices("balance.low") == 1
    books.decline(books.charge())
    books.age("1 hour")
    books.settle(str(books.topup(books.charge())["payment_id"]))
    books.use(100)
    assert books.notices("balance.low") == 2
    payload = books.value(
        "select payload from billing.outbox where topic = 'balance.low' order by id limit 1"
    )
    assert payload == {"available": 5 * CREDIT, "level": 20 * CREDIT, "auto_topup": True}


def test_the_first_decline_and_the_pause_are_told_and_nothing_between(books: Books) -> None:
    books.enable()
    books.use(95)
    told = []
    for hours in (1, 2, 4, 4):
        books.decline(books.charge())
        told.append((books.notices("topup.declined"), books.notices("topup.paused")))
        books.age(f"{hours} hours")
    assert told == [(1, 0), (1, 0), (1, 0), (1, 1)]


def test_a_charge_that_succeeded_is_told_once(books: Books) -> None:
    books.enable()
    books.use(95)
    payment = str(books.topup(books.charge())["payment_id"])
    for _ in range(3):
        books.settle(payment)
    assert books.notices("topup.succeeded") == 1


def test_a_charge_that_needs_its_holder_is_told_once_and_not_as_a_pause(books: Books) -> None:
    books.enable()
    books.use(95)
    topup = books.charge()
    for _ in range(3):
        books.ledger.finish_topup(topup, "action_required", {})
    assert (books.notices("topup.action_required"), books.notices("topup.paused")) == (1, 0)


def notice(books: Books) -> int:
    books.use(95)
    return int(books.ledger.due_work(10)["notices"][0])


def test_one_of_ten_workers_gets_a_notice_with_what_it_needs(books: Books) -> None:
    number = notice(books)
    answers = [answer for answer in books.together(10, lambda _: books.ledger.claim_notice(number)) if answer]
    assert len(answers) == 1
    assert isinstance(answers[0], dict)
    seen = {name: answers[0][name] for name in ("account_id", "account_name", "email", "topic", "claims")}
    assert seen == {
        "account_id": "a",
        "account_name": "An account",
        "email": "a@example.com",
        "topic": "balance.low",
        "claims": 1,
    }


@pytest.mark.parametrize("state", ["sent", "skipped"])
def test_a_notice_ends_once(books: Books, state: str) -> None:
    number = notice(books)
    books.ledger.claim_notice(number)
    books.ledger.finish_notice(number, state, None)
    with books.nothing_moves():
        books.ledger.finish_notice(number, "pending", "late")
        assert books.ledger.claim_notice(number) is None
    assert books.ledger.due_work(10)["notices"] == []


def test_a_notice_that_fails_is_tried_eight_times(books: Books) -> None:
    number = notice(books)
    for _ in range(8):
        books.query("update billing.outbox set next_attempt_at = now()")
        assert books.ledger.claim_notice(number)
        books.ledger.finish_notice(number, "pending", "no connection")
    assert books.value("select state from billing.outbox") == "failed"
    assert books.ledger.operations_summary()["notices_failed"] == 1


def test_a_notice_whose_workers_always_die_waits_six_hours_at_most(books: Books) -> None:
    number = notice(books)
    books.query("update billing.outbox set claims = 2000, next_attempt_at = now()")
    assert books.ledger.claim_notice(number)
    assert books.value("select next_attempt_at <= now() + interval '6 hours' from billing.outbox")
