"""Parked payments: looked at again, closed, given by an adjustment. In whatever order: credits once at most."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shared.errors import Refused
from shared.migrate import SQL
from tests.sql.books import CREDIT, Books


@pytest.fixture
def parked(books: Books) -> str:
    """A purchase of 100 credits for $5.00 that was paid with $4.99."""
    books.open("a")
    books.ledger.link_customer("a", "cus_a")
    payment = books.buy()
    assert books.settle(payment, **wrong(payment))["outcome"] == "parked"
    return payment


def wrong(payment: str) -> dict[str, Any]:
    return {"payment_intent": f"pi_{payment}", "amount_received": 499}


def row(books: Books, payment: str) -> dict[str, Any]:
    found = books.ledger.get_payment(payment)
    assert found is not None
    return dict(found)


def due(books: Books, payment: str) -> bool:
    return payment in books.ledger.due_work(100)["payments"]


def audit(books: Books, action: str) -> list[Any]:
    return books.query("select actor, subject, account_id from billing.audit_log where action = %s", action)


def granted(books: Books) -> float:
    """Credits that came into the account by any way."""
    return float(books.value("select coalesce(sum(granted), 0) from billing.credit_lots")) / CREDIT


def test_what_stripe_said_is_kept_beside_the_row(books: Books, parked: str) -> None:
    assert row(books, parked)["parked_facts"] == books.facts(parked, **wrong(parked))
    books.settle(parked, **wrong(parked) | {"amount_received": 498})
    assert row(books, parked)["parked_facts"]["amount_received"] == 498


def test_a_look_is_due_at_once_and_only_once(books: Books, parked: str) -> None:
    assert not due(books, parked)
    books.ledger.recheck_payment(parked, "operator:dana")
    assert due(books, parked)
    assert row(books, parked)["status"] == "parked"
    assert audit(books, "payment.rechecked") == [
        {"actor": "operator:dana", "subject": parked, "account_id": "a"}
    ]
    books.ledger.postpone_payment_check(parked)
    books.age("1 year")
    assert not due(books, parked)
    books.ledger.recheck_payment(parked, "operator:dana")
    books.settle(parked, **wrong(parked))
    assert not due(books, parked)


def test_a_row_that_was_put_right_is_granted_by_the_next_look(books: Books, parked: str) -> None:
    assert books.settle(parked, payment_intent=f"pi_{parked}")["outcome"] == "granted"
    assert (books.balance(), row(books, parked)["status"]) == (100, "succeeded")
    books.assert_sound()


def test_closing_keeps_the_note_settles_differences_and_is_audited_once(books: Books, parked: str) -> None:
    books.ledger.open_reconciliation("rec_1", "2026-01-01T00:00:00Z", None)
    for subject, reason in ((f"pi_{parked}", "parked"), (f"pi_{parked}", "not_paid"), ("pi_x", "parked")):
        books.ledger.record_difference("rec_1", "payments", subject, "a", reason, {})
    assert books.ledger.operations_summary()["payments_parked"] == 1
    closed = books.ledger.close_payment(parked, "  refunded at Stripe ", "operator:dana")
    assert (closed["status"], closed["closer"], closed["closing_note"]) == (
        "parked", "operator:dana", "refunded at Stripe",
    )  # fmt: skip
    assert books.ledger.operations_summary()["payments_parked"] == 0
    with books.nothing_moves():
        again = books.ledger.close_payment(parked, "something else", "operator:kim")
    assert again["closing_note"] == "refunded at Stripe"
    assert audit(books, "payment.closed") == [
        {"actor": "operator:dana", "subject": parked, "account_id": "a"}
    ]
    left = books.ledger.list_differences(9, all_of_them=False)
    assert {(one["subject"], one["reason"]) for one in left} == {
        (f"pi_{parked}", "not_paid"),
        ("pi_x", "parked"),
    }
    assert books.balance() == 0
    books.assert_sound()


def test_what_may_not_be_closed_or_looked_at(books: Books, parked: str) -> None:
    for note in ("", "   ", "x" * 501):
        with books.refused("invalid_value"):
            books.ledger.close_payment(parked, note, "dana")
    with books.refused("not_found"):
        books.ledger.close_payment("pay_none", "note", "dana")
    with books.refused("not_found"):
        books.ledger.recheck_payment("pay_none", "dana")
    good, opened = books.buy(), books.buy()
    books.settle(good)
    for payment in (good, opened):
        with books.refused("state_conflict"):
            books.ledger.close_payment(payment, "note", "dana")
    books.ledger.recheck_payment(opened, "dana")
    books.ledger.close_payment(parked, "note", "dana")
    for payment in (good, parked):
        with books.refused("state_conflict"):
            books.ledger.recheck_payment(payment, "dana")


def test_a_closed_payment_is_never_granted_and_says_nothing_more(books: Books, parked: str) -> None:
    books.ledger.close_payment(parked, "refunded", "dana")
    with books.nothing_moves():
        for change in ({}, {"amount_received": 499}):
            answer = books.settle(parked, **{"payment_intent": f"pi_{parked}"} | change)
            assert (answer["outcome"], answer["topup_due"]) == ("closed", False)
        books.ledger.fail_payment(parked, "canceled", "late")
        books.ledger.await_card_holder(parked)
    assert granted(books) == 0
    books.assert_sound()


def test_other_money_for_a_closed_payment_is_announced_and_not_granted(books: Books, parked: str) -> None:
    books.ledger.close_payment(parked, "refunded", "dana")
    before = row(books, parked)
    for _ in range(2):
        answer = books.settle(parked, payment_intent="pi_second")
        assert (answer["outcome"], answer["reason"]) == ("parked", "payment_closed")
    assert row(books, parked) == before
    assert books.notices("payment.parked") == 2
    assert granted(books) == 0
    found = books.ledger.compare_payments([at_stripe("pi_second", parked)])
    assert [one["reason"] for one in found] == ["parked"]


def test_neither_version_can_make_another_state_of_it(books: Books, parked: str) -> None:
    books.ledger.close_payment(parked, "refunded", "dana")
    with pytest.raises(Exception, match="payments_closed_stays_parked"):
        books.query("update billing.payments set status = 'succeeded' where id = %s", parked)


def at_stripe(intent: str, payment: str, **more: Any) -> dict[str, Any]:
    return {"id": intent, "status": "succeeded", "payment": payment, "refunded": 0, "disputed": False} | more


def test_reconciliation_asks_for_a_person_until_it_is_closed(books: Books, parked: str) -> None:
    fact = at_stripe(f"pi_{parked}", parked)
    assert [one["reason"] for one in books.ledger.compare_payments([fact])] == ["parked"]
    books.ledger.close_payment(parked, "kept", "dana")
    assert books.ledger.compare_payments([fact]) == []
    # Refunds are mirrored all the same, and end in nothing to do.
    refunded = fact | {"refunded": 499}
    assert [one["reason"] for one in books.ledger.compare_payments([refunded])] == ["reversals_behind"]
    refund = {"id": "re_1", "amount": 499, "status": "succeeded", "reason": None, "created": 1}
    books.ledger.reverse_payment(parked, 0, {"refunds": [refund], "disputes": []})
    assert books.ledger.compare_payments([refunded]) == []
    assert granted(books) == 0


def test_a_second_intent_that_parked_it_differs_until_it_is_closed(books: Books) -> None:
    books.open("a")
    payment = books.buy()
    books.query("update billing.payments set stripe_payment_intent_id = 'pi_own' where id = %s", payment)
    assert books.settle(payment, payment_intent="pi_other")["reason"] == "payment_intent_mismatch"
    fact = at_stripe("pi_other", payment)
    assert [one["reason"] for one in books.ledger.compare_payments([fact])] == ["another_intent"]
    books.ledger.close_payment(payment, "refunded", "dana")
    assert books.ledger.compare_payments([fact]) == []


def test_nothing_is_given_under_its_id_before_it_is_closed(books: Books, parked: str) -> None:
    opened, good = books.buy(), books.buy()
    books.settle(good)
    for payment in (parked, opened, good):
        with books.refused("state_conflict"):
            books.ledger.adjust_credits(payment, "a", 100 * CREDIT, "r", "dana")
    books.ledger.request_adjustment(parked, "a", 100 * CREDIT, "r", "operator:1", "dana")
    with books.refused("state_conflict"):
        books.ledger.decide_adjustment(parked, None, None, "operator:2", "kim", approve=True)
    books.ledger.close_payment(parked, "kept", "dana")
    books.ledger.decide_adjustment(parked, None, None, "operator:2", "kim", approve=True)
    assert books.balance() == 200
    # Whoever comes second gives nothing more.
    books.ledger.adjust_credits(parked, "a", 100 * CREDIT, "r", "dana")
    with books.refused("idempotency_conflict"):
        books.ledger.adjust_credits(parked, "a", 99 * CREDIT, "r", "dana")
    assert (books.balance(), granted(books)) == (200, 200)
    books.assert_sound()


STEPS = ("settle right", "settle wrong", "close", "adjust", "look")


def test_in_every_order_the_credits_are_given_exactly_once(books: Books, parked: str) -> None:
    for order in itertools.permutations(STEPS):
        payment = books.buy()
        books.settle(payment, **wrong(payment))
        calls: dict[str, Callable[[], object]] = {
            "settle right": partial(books.settle, payment, payment_intent=f"pi_{payment}"),
            "settle wrong": partial(books.settle, payment, **wrong(payment)),
            "close": partial(books.ledger.close_payment, payment, "kept", "dana"),
            "adjust": partial(books.ledger.adjust_credits, payment, "a", 100 * CREDIT, "r", "dana"),
            "look": partial(books.ledger.recheck_payment, payment, "dana"),
        }
        for step in (*order, *order):
            with contextlib.suppress(Refused):
                calls[step]()
        lots = books.query(
            "select granted from billing.credit_lots where source in ('payment:' || %s, 'adjustment:' || %s)",
            payment,
            payment,
        )
        assert [lot["granted"] for lot in lots] == [100 * CREDIT], order
    books.assert_sound()


def test_closing_adjusting_and_settling_at_once_give_the_credits_once(books: Books, parked: str) -> None:
    def act(number: int) -> str:
        if number % 3 == 0:
            return str(books.settle(parked, payment_intent=f"pi_{parked}")["outcome"])
        if number % 3 == 1:
            return books.ledger.close_payment(parked, "kept", "dana")["status"]
        return str(books.ledger.adjust_credits(parked, "a", 100 * CREDIT, "r", "dana")["credits"])

    answers = books.together(18, act)
    assert all(
        isinstance(one, str) or (isinstance(one, Refused) and one.code == "state_conflict") for one in answers
    )
    assert granted(books) <= 100
    books.assert_sound()


def test_an_adjustment_of_the_version_before_closes_its_payment(books: Books, parked: str) -> None:
    """As operations.md said until 0023: the credits by an adjustment under the payment's id, the payment left parked."""
    books.query(
        "select billing._post_grant('a', 'adjustment', 'adjustments', 100000000, 'adjustment', %s)", parked
    )
    migration = (SQL / "migrations" / "0023_operators.sql").read_text()
    books.query(migration[migration.index("update billing.payments p") :].split(";")[0])
    assert row(books, parked)["closer"] == "migration 0023"
    books.settle(parked, payment_intent=f"pi_{parked}")
    assert granted(books) == 100
