"""Grants and corrections: debt is paid first, one source grants once."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")


def test_a_grant_pays_the_debt_first_and_only_the_rest_may_be_spent(books: Books) -> None:
    books.use(30)
    books.grant("g", 100)
    assert books.balance() == 70
    assert books.lots() == {"g": 70}
    draws = books.query("select amount from billing.credit_draws order by amount desc")
    assert [row["amount"] for row in draws] == [100 * CREDIT, -30 * CREDIT]
    books.spend(70)
    books.assert_sound()


def test_a_grant_smaller_than_the_debt_leaves_an_empty_lot_and_less_debt(books: Books) -> None:
    books.use(30)
    books.grant("g", 10)
    assert (books.balance(), books.lots()) == (-20, {"g": 0})
    books.grant("h", 20)
    assert (books.balance(), books.lots()) == (0, {"g": 0, "h": 0})
    books.assert_sound()


def test_an_expiring_grant_that_went_into_debt_has_nothing_to_expire(books: Books) -> None:
    books.use(30)
    books.grant("g", 10, expires_in="1 hour")
    books.age("2 hours")
    assert books.ledger.expire_lots(10) == 0
    assert books.balance() == -20
    books.assert_sound()


def test_one_source_grants_once(books: Books) -> None:
    books.grant("g", 10)
    with books.nothing_moves():
        books.grant("g", 10)
    answers = books.together(10, lambda _: books.ledger.adjust_credits("x", "a", CREDIT, "a gift", "op"))
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert books.balance() == 11
    books.assert_sound()


def test_a_correction_upwards_is_a_lot_of_its_own_with_its_reason_in_the_audit_log(books: Books) -> None:
    answer = books.ledger.adjust_credits("x", "a", 5 * CREDIT, "an apology", "operator@example.com")
    assert (answer["credits"], answer["balance"]) == (5 * CREDIT, 5 * CREDIT)
    entry = books.query("select kind, counter_account from billing.credit_transactions")
    assert entry == [{"kind": "adjustment", "counter_account": "adjustments"}]
    log = books.query(
        "select actor, subject, details from billing.audit_log where action = 'credits.adjusted'"
    )
    wanted = {
        "actor": "operator@example.com",
        "subject": "x",
        "details": {"credits": 5 * CREDIT, "reason": "an apology"},
    }
    assert log == [wanted]
    books.assert_sound()


def test_a_correction_downwards_draws_lots_and_may_pass_zero(books: Books) -> None:
    books.grant("g", 10)
    assert books.ledger.adjust_credits("x", "a", -25 * CREDIT, "abuse", "op")["balance"] == -15 * CREDIT
    assert books.lots() == {"g": 0}
    books.assert_sound()


@pytest.mark.parametrize("credits", [5, -5])
def test_a_correction_that_is_sent_again_moves_nothing(books: Books, credits: int) -> None:
    first = books.ledger.adjust_credits("x", "a", credits * CREDIT, "reason", "op")
    with books.nothing_moves():
        assert books.ledger.adjust_credits("x", "a", credits * CREDIT, "reason", "op") == first
    with books.refused("idempotency_conflict"):
        books.ledger.adjust_credits("x", "a", -credits * CREDIT, "reason", "op")


@pytest.mark.parametrize(
    ("credits", "reason"), [(0, "r"), (10**15 + 1, "r"), (-(10**15) - 1, "r"), (1, ""), (1, "x" * 501)]
)
def test_a_correction_without_amount_or_reason_is_refused(books: Books, credits: int, reason: str) -> None:
    with books.refused("invalid_value"):
        books.ledger.adjust_credits("x", "a", credits, reason, "op")


def test_a_correction_of_an_unknown_account_is_refused(books: Books) -> None:
    with books.refused("unknown_account"):
        books.ledger.adjust_credits("x", "nobody", CREDIT, "r", "op")


def test_a_correction_downwards_to_the_threshold_makes_no_topup_due(books: Books) -> None:
    books.grant("g", 50)
    books.enable()
    assert not books.ledger.adjust_credits("x", "a", -40 * CREDIT, "r", "op")["topup_due"]
    assert books.ask(demand=False)["reason"] == "next_spend"


def test_history_pages_through_every_entry_once_newest_first(books: Books) -> None:
    books.grant("g", 50)
    for _ in range(7):
        books.spend(1)
    seen: list[int] = []
    cursor = None
    while True:
        page = books.ledger.list_transactions("a", 3, cursor)
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 8
    usage = books.ledger.list_transactions("a", 50, None, "usage")["data"]
    assert [row["credits"] for row in usage] == [-CREDIT] * 7
    assert [len(books.ledger.list_usage("a", 4, at)["data"]) for at in (None,)] == [4]
    assert books.ledger.list_lots("a", 10, None)["data"][0]["remaining"] == 43 * CREDIT


def test_a_cursor_that_is_none_is_refused(books: Books) -> None:
    for listing in (books.ledger.list_transactions, books.ledger.list_usage, books.ledger.list_lots):
        with books.refused("invalid_value"):
            listing("a", 10, "no number")
    with books.refused("not_found"):
        books.ledger.list_payments("a", 10, "pay_of_somebody")
