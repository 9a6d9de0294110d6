"""Slots, due work, answers by Idempotency-Key, months of usage, tables that only grow."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from tests.sql.books import Books

PRINT, OTHER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def test_five_schedulers_fire_a_slot_once(books: Books) -> None:
    answers = books.together(5, lambda _: books.ledger.claim_slot("sweep", 86_400))
    assert sorted(map(str, answers)) == ["False"] * 4 + ["True"]
    assert books.ledger.claim_slot("other", 86_400)
    books.ledger.finish_job("sweep", {"found": 3})
    status = {row["job"]: row for row in books.ledger.job_status()}
    assert status["sweep"]["result"] == {"found": 3}
    assert status["sweep"]["finished_at"] is not None
    assert status["other"]["finished_at"] is None
    assert status["sweep"]["age_seconds"] < 60


def test_the_next_slot_fires_again(books: Books) -> None:
    assert books.ledger.claim_slot("sweep", 60)
    books.query("update billing.job_runs set slot = slot - interval '60 seconds'")
    assert books.ledger.claim_slot("sweep", 60)


def test_runs_are_forgotten_after_a_week(books: Books) -> None:
    books.ledger.claim_slot("sweep", 60)
    books.query("update billing.job_runs set slot = slot - interval '8 days'")
    books.ledger.claim_slot("sweep", 60)
    books.ledger.finish_job("sweep", {})
    assert books.value("select count(*) from billing.job_runs") == 1


def test_due_work_lists_each_kind_oldest_first_up_to_the_limit(books: Books) -> None:
    for name in ("a", "b", "c"):
        books.open(name, 5)
        books.enable(name)
        books.query(
            "update billing.credit_balances set topup_due_at = now() - interval '1 hour' * %s"
            " where account_id = %s",
            ord(name) - 96,
            name,
        )
    assert books.ledger.due_work(2)["accounts"] == ["c", "b"]
    topups = [books.charge(name) for name in ("a", "b", "c")]
    assert books.ledger.due_work(10)["accounts"] == []
    books.age("2 minutes")
    assert sorted(books.ledger.due_work(10)["topups"]) == sorted(topups)
    assert len(books.ledger.due_work(1)["topups"]) == 1
    assert set(books.ledger.due_work(1)) == {
        "events", "accounts", "topups", "payments", "notices", "reconciliations",
    }  # fmt: skip


def test_an_idempotency_key_is_answered_once_it_is_done(books: Books) -> None:
    ledger = books.ledger
    assert ledger.begin_request("key:1", "k", PRINT) == {"state": "new"}
    assert ledger.begin_request("key:1", "k", PRINT) == {"state": "in_flight"}
    assert ledger.begin_request("key:2", "k", PRINT) == {"state": "new"}
    ledger.finish_request("key:1", "k", 201, {"id": "x"})
    for fingerprint, answer in (
        (PRINT, {"state": "done", "status": 201, "body": {"id": "x"}}),
        (OTHER, {"state": "conflict"}),
    ):
        with books.nothing_moves():
            assert ledger.begin_request("key:1", "k", fingerprint) == answer
    with books.nothing_moves():
        ledger.finish_request("key:1", "k", 500, {})
        ledger.abandon_request("key:1", "k")


def test_of_ten_requests_with_one_key_one_runs(books: Books) -> None:
    answers = books.together(10, lambda _: books.ledger.begin_request("key:1", "k", PRINT)["state"])
    assert sorted(map(str, answers)) == ["in_flight"] * 9 + ["new"]


def test_a_request_that_failed_or_died_may_be_tried_again(books: Books) -> None:
    ledger = books.ledger
    ledger.begin_request("key:1", "k", PRINT)
    ledger.abandon_request("key:1", "k")
    assert ledger.begin_request("key:1", "k", OTHER) == {"state": "new"}
    books.age("61 seconds")
    assert ledger.begin_request("key:1", "k", PRINT) == {"state": "conflict"}
    assert ledger.begin_request("key:1", "k", OTHER) == {"state": "new"}
    assert ledger.begin_request("key:1", "k", OTHER) == {"state": "in_flight"}


def test_months_of_usage_are_made_ahead_once_with_row_level_security(books: Books) -> None:
    assert books.ledger.ensure_usage_partitions(3) == 0
    answers = books.together(5, lambda _: books.ledger.ensure_usage_partitions(5))
    assert sorted(map(str, answers)) == ["0", "0", "0", "0", "2"]
    open_tables = "select count(*) from pg_class where relkind = 'r' and relname ~ '^credit_usage_2' and not relrowsecurity"
    assert books.value(open_tables) == 0


def test_usage_lands_in_its_month_and_the_last_month_touches_the_next(books: Books) -> None:
    books.open("a", 10)
    books.spend(1)
    month = books.value("select 'credit_usage_' || to_char(now() at time zone 'UTC', 'YYYY_MM')")
    assert books.value(f"select count(*) from billing.{month}") == 1
    gaps = books.value(
        "select count(*) from generate_series(0, 3) n where to_regclass('billing.credit_usage_'"
        " || to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => n), 'YYYY_MM')) is null"
    )
    assert gaps == 0


APPEND_ONLY = ["audit_log", "auto_topup_consents", "credit_transactions"]


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "verb",
    ["update billing.{} set account_id = 'b'", "delete from billing.{}", "truncate billing.{} cascade"],
)
def test_what_is_append_only_refuses_even_its_owner(books: Books, table: str, verb: str) -> None:
    books.open("a", 10)
    books.enable()
    assert books.value(f"select count(*) from billing.{table}") > 0
    with (
        books.nothing_moves(),
        pytest.raises(psycopg.errors.DatabaseError, match="is append-only") as refused,
    ):
        books.query(verb.format(table))
    assert refused.value.sqlstate == "RF015"


def test_operators_see_counts_of_everything_that_waits(books: Books) -> None:
    books.open("a", 5)
    books.enable()
    books.charge()
    summary = books.ledger.operations_summary()
    assert summary["topups_open"] == {
        "open": 0,
        "processing": 1,
        "unknown": 0,
        "action_required": 0,
        "canceling": 0,
    }
    assert summary["events_waiting"] == summary["events_parked"] == summary["payments_parked"] == 0
    assert books.ledger.list_topups("a", None, 5)[0]["state"] == "processing"
    assert books.ledger.list_topups("a", "declined", 5) == []
