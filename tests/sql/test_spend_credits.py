"""billing.spend_credits: price, replay, refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def test_a_spend_costs_what_the_action_costs_times_the_quantity(books: Books) -> None:
    answer = books.ledger.spend_credits("a", {"id": "e1", "action": "research", "quantity": 3})
    assert answer["credits"] == 15 * CREDIT
    assert answer["available"] == 85 * CREDIT
    assert (answer["replayed"], answer["topup_due"], answer["status"]) == (False, False, "active")
    books.assert_sound()


def test_the_newest_price_in_force_counts_and_a_future_one_does_not(books: Books) -> None:
    books.ledger.set_action_cost({"action": "research", "credits": 7 * CREDIT}, "operator")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    books.ledger.set_action_cost(
        {"action": "research", "credits": 8 * CREDIT, "effective_from": tomorrow}, "operator"
    )
    assert books.ledger.spend_credits("a", {"id": "e1", "action": "research"})["credits"] == 7 * CREDIT


def test_a_spend_leaves_one_entry_one_usage_row_and_one_key(books: Books) -> None:
    event = {
        "id": "e1",
        "action": "message",
        "quantity": 2,
        "agent": "writer",
        "department_id": "d",
        "member_id": "m",
    }
    event |= {
        "run_id": "r",
        "dimensions": {"model": "x"},
        "metadata": {"k": 1},
        "occurred_at": "2026-01-02T03:04:05+00:00",
    }
    txn = books.ledger.spend_credits("a", event)["transaction_id"]
    entry = books.query("select * from billing.credit_transactions where id = %s", txn)[0]
    assert (entry["kind"], entry["counter_account"], entry["amount"]) == ("usage", "usage", -2 * CREDIT)
    assert (entry["source_kind"], entry["source_id"], entry["balance_after"]) == ("usage", "e1", 98 * CREDIT)
    usage = books.query("select * from billing.credit_usage where transaction_id = %s", txn)[0]
    wanted = {"event_id": "e1", "quantity": 2, "credits": 2 * CREDIT} | {
        k: event[k] for k in event if k not in ("id", "occurred_at")
    }
    assert {name: usage[name] for name in wanted} == wanted
    assert usage["occurred_at"].isoformat() == event["occurred_at"]
    assert books.value("select transaction_id from billing.credit_usage_keys where event_id = 'e1'") == txn


def test_the_same_event_answers_its_first_result_and_moves_nothing(books: Books) -> None:
    first = books.spend(30, event_id="e1")
    with books.nothing_moves():
        again = books.spend(30, event_id="e1")
    assert again["replayed"]
    assert (again["transaction_id"], again["credits"], again["available"]) == (
        first["transaction_id"],
        30 * CREDIT,
        70 * CREDIT,
    )


def test_a_replay_is_decided_before_the_balance_is_looked_at(books: Books) -> None:
    """A caller whose answer was lost must not be told that the credits are gone."""
    first = books.spend(100, event_id="e1")
    with books.nothing_moves():
        assert books.spend(100, event_id="e1")["transaction_id"] == first["transaction_id"]


def test_a_replay_on_a_paused_account_answers_the_first_result(books: Books) -> None:
    books.spend(1, event_id="e1")
    books.query("update billing.credit_balances set status = 'paused'")
    with books.nothing_moves():
        assert books.spend(1, event_id="e1")["replayed"]


def test_a_replay_after_a_price_change_answers_the_first_price(books: Books) -> None:
    books.ledger.spend_credits("a", {"id": "e1", "action": "message"})
    books.ledger.set_action_cost({"action": "message", "credits": 9 * CREDIT}, "operator")
    assert books.ledger.spend_credits("a", {"id": "e1", "action": "message"})["credits"] == CREDIT


def test_the_same_id_with_other_content_is_a_conflict(books: Books) -> None:
    books.spend(30, event_id="e1")
    with books.refused("idempotency_conflict"):
        books.spend(31, event_id="e1")
    books.spend(70)
    with books.refused("idempotency_conflict"):
        books.spend(31, event_id="e1")


def test_ids_are_unique_within_the_account_only(books: Books) -> None:
    books.open("b", 5)
    books.spend(5, event_id="e1")
    assert not books.spend(5, event_id="e1", account="b")["replayed"]


def test_too_few_credits_leave_nothing_behind_and_say_what_is_missing(books: Books) -> None:
    with books.refused("insufficient_credits") as refusal:
        books.spend(100.000001)
    assert refusal.value.status == 402
    assert refusal.value.extra == {
        "binding": "balance",
        "needed": 100 * CREDIT + 1,
        "available": 100 * CREDIT,
        "topup": "off",
    }


def test_a_refused_spend_may_be_tried_again_under_its_id(books: Books) -> None:
    with books.refused("insufficient_credits"):
        books.spend(150, event_id="e1")
    books.grant("more", 50)
    assert not books.spend(150, event_id="e1")["replayed"]
    assert books.balance() == 0


def test_the_last_credit_may_be_spent_and_not_one_more(books: Books) -> None:
    assert books.spend(100)["available"] == 0
    with books.refused("insufficient_credits"):
        books.spend(0.000001)
    books.assert_sound()


def test_an_overdraft_is_available_to_its_limit_and_not_beyond(books: Books) -> None:
    books.query(
        "update billing.credit_balances set overdraft = %s, status = 'grace', grace_until = now() + interval '1 hour'",
        20 * CREDIT,
    )
    assert books.spend(110)["available"] == 10 * CREDIT
    assert books.balance() == -10
    with books.refused("insufficient_credits"):
        books.spend(10.000001)
    books.spend(10)
    assert books.balance() == -20
    books.assert_sound()


def test_held_credits_are_not_available(books: Books) -> None:
    books.query("update billing.credit_balances set held = %s", 40 * CREDIT)
    with books.refused("insufficient_credits") as refusal:
        books.spend(61)
    assert refusal.value.extra["available"] == 60 * CREDIT


def test_a_paused_account_spends_nothing(books: Books) -> None:
    books.query("update billing.credit_balances set status = 'paused'")
    with books.refused("account_paused"):
        books.spend(1)


def test_an_account_in_grace_spends(books: Books) -> None:
    books.query("update billing.credit_balances set status = 'grace'")
    assert books.spend(1)["status"] == "grace"


def test_an_unknown_account_is_refused(books: Books) -> None:
    with books.refused("unknown_account"):
        books.spend(1, account="nobody")


@pytest.mark.parametrize("event", [{"action": "nobody knows it"}, {}])
def test_an_action_without_a_price_is_refused_and_never_free(books: Books, event: dict[str, object]) -> None:
    with books.refused("unknown_action"):
        books.ledger.spend_credits("a", {"id": "e1", **event})


@pytest.mark.parametrize(
    "event",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 10**15 + 1},
        {"amount": 2**63},
        {"amount": 1.5},
        {"amount": "12e3"},
        {"amount": "NaN"},
        {"action": "message", "quantity": 0},
        {"action": "message", "quantity": -1},
        {"action": "message", "quantity": 2**62},
        {"amount": 1, "occurred_at": "yesterday morning"},
        {"amount": 1, "metadata": {"nul": "\0"}},
        {"amount": 1, "metadata": {"half": "\ud800"}},
        {"amount": 1, "id": "x" * 256},
        {"amount": 1, "id": ""},
    ],
)
def test_values_that_are_no_amount_are_refused(books: Books, event: dict[str, object]) -> None:
    with books.refused("invalid_value"):
        books.ledger.spend_credits("a", {"id": "e1", **event})


def test_a_spend_without_an_id_is_refused(books: Books) -> None:
    with books.refused("invalid_value"):
        books.ledger.spend_credits("a", {"amount": 1})


def test_twenty_calls_with_one_id_make_one_debit(books: Books) -> None:
    answers = books.together(20, lambda _: books.spend(30, event_id="e1"))
    assert len({answer["transaction_id"] for answer in answers if isinstance(answer, dict)}) == 1
    assert sum(not answer["replayed"] for answer in answers if isinstance(answer, dict)) == 1
    assert len(answers) == 20
    assert not any(isinstance(answer, Exception) for answer in answers)
    assert books.balance() == 70
    books.assert_sound()


def test_spends_at_once_never_pass_zero(books: Books) -> None:
    answers = books.together(16, lambda _: [_or_refusal(books, 3) for _ in range(5)])
    codes = [code for answer in answers if isinstance(answer, list) for code in answer]
    assert codes.count("spent") == 33
    assert codes.count("insufficient_credits") == 80 - 33
    assert books.balance() == 1
    books.assert_sound()


def _or_refusal(books: Books, credits: float) -> str:
    try:
        books.spend(credits)
    except Refused as refusal:
        return refusal.code
    return "spent"
