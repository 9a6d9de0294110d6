"""What the operators' pages list: payments of every account, one with all that hangs on it, holds, paused top-ups."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def accounts(books: Books) -> None:
    for account in ("a", "b"):
        books.open(account)
        books.ledger.link_customer(account, f"cus_{account}")


def listed(books: Books, state: str | None, limit: int = 100) -> list[str]:
    with books.nothing_moves():
        return [row["id"] for row in books.ledger.list_recent_payments(state, limit)]


def every_state(books: Books) -> dict[str, str]:
    """One payment of each state, the oldest first."""
    made = {}
    for state in ("open", "processing", "succeeded", "failed", "canceled", "parked", "closed"):
        payment = made[state] = books.buy("b" if state == "parked" else "a")
        if state == "succeeded":
            books.settle(payment)
        elif state in ("parked", "closed"):
            books.settle(payment, amount_received=1)
        elif state != "open":
            books.ledger.fail_payment(payment, state, "why")
        if state == "closed":
            books.ledger.close_payment(payment, "refunded", "dana")
        books.age("1 minute")
    return made


def test_payments_are_listed_by_state_newest_first(books: Books) -> None:
    made = every_state(books)
    for state, payment in made.items():
        assert listed(books, state) == [payment]
    assert listed(books, None) == list(made.values())[::-1]
    assert listed(books, None, 3) == list(made.values())[:-4:-1]
    for strange in ("", "%", "parked' or true --", "PARKED"):
        assert listed(books, strange) == []
    assert {row["account_name"] for row in books.ledger.list_recent_payments(None, 9)} == {"An account"}


def test_one_payment_with_all_that_hangs_on_it(books: Books) -> None:
    payment = books.buy()
    for number in (1, 2):
        books.ledger.record_stripe_event(
            f"evt_{number}", "x.y", f"ch_pi_{payment}", False, "v", b"{}", 1, None
        )
    books.ledger.record_stripe_event("evt_other", "x.y", "ch_other", False, "v", b"{}", 1, None)
    for _ in range(5):
        books.use(1)
    books.settle(payment)
    for _ in range(5):
        books.use(1)
    refund = {"id": "re_1", "amount": 250, "status": "succeeded", "reason": None, "created": 1}
    books.ledger.reverse_payment(payment, 0, {"refunds": [refund], "disputes": []})
    books.ledger.open_reconciliation("rec_1", "2026-01-01T00:00:00Z", None)
    books.ledger.record_difference("rec_1", "payments", f"pi_{payment}", "a", "not_paid", {})
    with books.nothing_moves():
        found = books.ledger.inspect_payment(payment)
    assert found is not None
    assert {event["id"] for event in found["events"]} == {"evt_1", "evt_2"}
    assert "payload" not in found["events"][0]
    assert [one["id"] for one in found["reversals"]] == ["re_1"]
    assert [one["reason"] for one in found["differences"]] == ["not_paid"]
    assert found["account"] == {
        "account_id": "a", "name": "An account", "email": "a@example.com", "status": "active", "balance": 40 * CREDIT,
    }  # fmt: skip
    grant = books.value("select id from billing.credit_transactions where kind = 'purchase'")
    assert (found["entry_id"], found["topup"], found["adjustment"], found["requested"]) == (
        grant,
        None,
        None,
        None,
    )
    assert books.ledger.inspect_payment("pay_none") is None
    assert books.ledger.inspect_payment("' or true --") is None


def test_a_grant_is_found_among_thousands_of_entries_that_stand_out_of_order(books: Books) -> None:
    """An entry has the time at which its transaction began, and may have waited for the account's lock."""
    payment = books.buy()
    # The ids before it are free for what was booked before.
    books.query("select setval('billing.credit_transactions_id_seq', 10000)")
    books.settle(payment)
    grant = books.value("select id from billing.credit_transactions where source_id = %s", payment)
    books.query(
        "insert into billing.credit_transactions (account_id, id, kind, counter_account, amount, balance_after, source_kind,"
        " source_id, created_at) overriding system value"
        " select 'a', g.id + n, 'usage', 'usage', -1, 0, 'usage', 'u' || n,"
        " g.created_at + case when n between 1 and 2000 then -10 else n end * interval '1 second'"
        " from billing.credit_transactions g, generate_series(-3000, 5000) n where g.id = %s and n <> 0",
        grant,
    )
    found = books.ledger.inspect_payment(payment)
    assert found is not None
    assert found["entry_id"] == grant


def test_paused_topups_are_listed_and_those_that_run_or_are_off_are_not(books: Books) -> None:
    for account in ("a", "b"):
        books.ledger.adjust_credits("start", account, 100 * CREDIT, "r", "test")
        books.ledger.set_default_payment_method(account, "pm_1", {"brand": "visa"}, "test")
        books.enable_raw(account)
    assert books.ledger.list_paused_topups(9) == []
    books.use(95)
    books.decline(books.charge(), "lost_card")
    with books.nothing_moves():
        (row,) = books.ledger.list_paused_topups(9)
    assert (row["account_id"], row["paused_reason"], row["balance"]) == ("a", "card_declined", 5 * CREDIT)
    assert row["failing_since"] is not None
    books.query(
        "update billing.auto_topup_settings set paused_reason = 'fraud_warning' where account_id = 'b'"
    )
    assert [one["account_id"] for one in books.ledger.list_paused_topups(9)] == ["a", "b"]
    assert len(books.ledger.list_paused_topups(1)) == 1
    assert len(books.ledger.list_paused_topups(9)) == books.ledger.operations_summary()["topups_paused"]
    books.ledger.set_auto_topup("b", {"enabled": False}, "owner")
    books.ledger.resume_auto_topup("a", "dana")
    assert books.ledger.list_paused_topups(9) == []


def test_open_holds_are_listed_by_their_end(books: Books) -> None:
    for account in ("a", "b"):
        books.ledger.adjust_credits("start", account, 100 * CREDIT, "r", "test")
    for name, account in (("late", "a"), ("soon", "b"), ("over", "a"), ("done", "a")):
        books.place(1, name, account=account)
    books.query("update billing.credit_holds set expires_at = now() + interval '1 second' where id = 'soon'")
    books.overdue("over")
    books.finish("done", 1)
    with books.nothing_moves():
        rows = books.ledger.list_open_holds(9)
    assert [(row["id"], row["account_id"], row["overdue"]) for row in rows] == [
        ("over", "a", True), ("soon", "b", False), ("late", "a", False),
    ]  # fmt: skip
    assert [row["id"] for row in books.ledger.list_open_holds(1)] == ["over"]
