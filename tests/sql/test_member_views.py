"""What the views of schema api say: the same as the API, in its units, and by the index."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sql.access import BOTH, MEMBER, STRANGER, VIEWS, Caller, fill
from tests.sql.books import CREDIT, Books

MANY = """
insert into billing.accounts (id, name) select 'x' || g, 'X' from generate_series(1, 300) g;
insert into billing.credit_transactions (account_id, kind, counter_account, amount, balance_after, source_kind, source_id)
select case when mod(g, 3) = 0 then 'a' else 'x' || (mod(g, 300) + 1) end, 'usage', 'usage', -1, 0, 'usage', g::text
  from generate_series(1, 30000) g;
insert into billing.credit_usage (account_id, event_id, transaction_id, quantity, credits, occurred_at)
select case when mod(g, 3) = 0 then 'a' else 'x' || (mod(g, 300) + 1) end, g::text, g, 1, 1, now()
  from generate_series(1, 30000) g;
analyze billing.credit_transactions; analyze billing.credit_usage; analyze billing.account_members
"""


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    fill(books)


def read(books: Books, view: str, caller: Caller = MEMBER) -> list[dict[str, Any]]:
    """The rows as JSON has them, with numbers as they are written."""
    with books.database.acting_as("authenticated", caller.claims) as connection:
        rows = connection.execute(f"select to_jsonb(v)::text from api.{view} v".encode()).fetchall()
    return [json.loads(text, parse_float=Decimal) for (text,) in rows]


def as_credits(answer: dict[str, Any], *fields: str) -> dict[str, Any]:
    """Those fields of an answer of the ledger, from micro-credits to credits."""
    return {name: None if answer[name] is None else Decimal(answer[name]) / CREDIT for name in fields}


def agrees(
    row: dict[str, Any], answer: dict[str, Any], credits: tuple[str, ...], same: tuple[str, ...]
) -> None:
    assert {name: row[name] for name in credits} == as_credits(answer, *credits)
    assert {name: row[name] for name in same} == {name: answer[name] for name in same}


def test_the_balance_is_the_one_that_the_api_answers(books: Books) -> None:
    amounts = ("available", "held", "balance", "debt")
    agrees(read(books, "balance")[0], books.ledger.get_balance("a"), amounts, ("status",))
    books.grant("gone", 7, expires_in="-1 second")
    before, answer = read(books, "balance")[0], books.ledger.get_balance("a")
    agrees(before, answer, amounts, ("status",))
    assert books.value("select balance from billing.credit_balances where account_id = 'a'") == (
        answer["balance"] + 7 * CREDIT
    ), "the lot that expired is not swept yet"
    books.use(2.000001)
    agrees(read(books, "balance")[0], books.ledger.get_balance("a"), amounts, ("status",))
    books.use(500)
    assert read(books, "balance")[0]["debt"] > 0
    agrees(read(books, "balance")[0], books.ledger.get_balance("a"), amounts, ("status",))


def test_holds_and_limits_are_those_that_the_api_answers(books: Books) -> None:
    books.place(2, "child", parent_id="h")
    books.draw("h", "one", 1.25)
    amounts = ("amount", "settled", "spent", "reserved", "remaining")
    for row in read(books, "holds"):
        agrees(row, dict(books.hold(row["id"])), amounts, ("parent_id", "state", "agent"))
    assert books.ledger.release_hold("a", "h")
    assert {row["remaining"] for row in read(books, "holds")} == {0}
    books.place(4, "mine", agent="x")
    books.limit(30, "month", agent="x")
    assert {row["held"] for row in read(books, "limits")} == {4}
    for passed in (None, "40 days"):
        if passed:
            books.query("update billing.credit_limits set window_start = window_start - interval '40 days'")
        found = {row["window"]: row for row in read(books, "limits")}
        for answer in books.ledger.list_limits("a"):
            agrees(
                found[answer["window"]],
                dict(answer),
                ("credits", "used", "held", "left"),
                ("scope", "scope_id", "hard", "resets_at"),
            )


def test_the_subscription_is_the_one_that_goes_on(books: Books) -> None:
    books.query("update billing.subscriptions set status = 'canceled', started_at = now() + interval '1 day'")
    books.query(
        "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
        " cancel_at_period_end, started_at, version) values ('sub_2', 'a', 'pro', 'cus_a', 'past_due', 3, false, now(), 1)"
    )
    answer = books.ledger.get_subscription("a")
    assert answer is not None
    (row,) = read(books, "subscription")
    same = ("id", "status", "plan", "plan_name", "quantity", "amount", "currency", "interval")
    agrees(row, dict(answer), ("credits_per_cycle",), same)
    assert row["id"] == "sub_2"


def test_lists_carry_the_units_of_the_api(books: Books) -> None:
    newest = max(read(books, "transactions"), key=lambda row: row["id"])
    answer = books.ledger.list_transactions("a", 1, None, None)["data"][0]
    agrees(newest, dict(answer), ("credits", "balance_after"), ("kind", "source_kind", "source_id"))
    (used,) = read(books, "usage")
    assert (used["id"], used["credits"], used["agent"]) == ("e", Decimal("1.5"), "x")
    (day,) = read(books, "usage_daily")
    assert (day["events"], day["credits"]) == (1, Decimal("1.5"))
    priced = next(row for row in read(books, "actions") if row["account_id"] == "a")
    assert (priced["credits"], priced["rates"]) == (
        Decimal("2.5"),
        {"tokens": {"credits": 3, "per": 1000000}},
    )
    lots = {row["source"]: row for row in read(books, "lots")}
    assert {row["expires_at"] for row in lots.values()} == {None}
    assert sum(row["granted"] for row in lots.values()) == 200
    paid = next(row for row in read(books, "payments") if row["status"] == "succeeded")
    assert (paid["credits"], paid["amount"], paid["currency"]) == (100, 500, "usd")
    assert [(row["id"], row["default"]) for row in read(books, "payment_methods") if row["default"]] == [
        ("pm_a", True)
    ]
    (settings,) = read(books, "auto_topup")
    assert (settings["enabled"], settings["threshold"], settings["credits"]) == (True, 10, 100)


def test_every_row_of_a_list_is_that_of_the_api(books: Books) -> None:
    """Each row, with sums that differ from each other, signs, and lots that are partly used."""
    books.use(3.25)
    books.ledger.adjust_credits("adj_1", "a", -2 * CREDIT, "tests", "tests")
    books.query(
        "update billing.payments set refunded_credits = 1500000, disputed_credits = 250000 where account_id = 'a'"
    )
    books.query("update billing.invoices set amount_due = 700, amount_paid = 300 where account_id = 'a'")
    ledger = books.ledger
    lists: list[tuple[str, list[Any], tuple[str, ...], tuple[str, ...]]] = [
        ("transactions", ledger.list_transactions("a", 99, None)["data"], ("credits", "balance_after"), ("kind",)),
        ("lots", ledger.list_lots("a", 99, None)["data"], ("granted", "remaining"),
         ("kind", "source", "paid_amount", "currency", "expires_at")),
        ("payments", ledger.list_payments("a", 99, None)["data"], ("credits", "refunded_credits", "disputed_credits"),
         ("amount", "currency", "status", "receipt_url")),
        ("topups", ledger.list_topups("a", None, 99), ("credits",), ("amount", "currency", "state")),
        ("invoices", ledger.list_invoices("a", 99, None)["data"], (), ("amount_due", "amount_paid", "currency", "status")),
        ("packages", ledger.list_packages(), ("credits",), ("name", "amount", "currency")),
        ("plans", ledger.list_plans(), ("credits_per_cycle",), ("name", "amount", "currency", "interval")),
    ]  # fmt: skip
    for view, answers, amounts, same in lists:
        rows = {row["id"]: row for row in read(books, view)}
        assert {answer["id"] for answer in answers} == set(rows) != set(), view
        for answer in answers:
            agrees(rows[answer["id"]], answer, amounts, same)
    assert {row["credits"] < 0 for row in read(books, "transactions")} == {True, False}
    assert any(0 < row["remaining"] < row["granted"] for row in read(books, "lots"))


def test_usage_by_day_adds_up_the_last_31_days_by_when_it_happened(books: Books) -> None:
    """An event of long ago that was booked just now belongs to no day that is shown."""
    for event, ago in (("late", "40 days"), ("two", "2 days"), ("too", "2 days"), ("edge", "29 days")):
        at = books.value("select (now() - %s::interval)::text", ago)
        books.ledger.record_usage([{"id": event, "amount": CREDIT, "occurred_at": at}], "a")
    found = {row["day"]: (row["events"], row["credits"]) for row in read(books, "usage_daily")}
    days = {
        ago: books.value("select ((now() at time zone 'UTC')::date - %s)::text", ago) for ago in (0, 2, 29)
    }
    assert found == {days[0]: (1, Decimal("1.5")), days[2]: (2, 2), days[29]: (1, 1)}


def test_a_detached_card_is_gone(books: Books) -> None:
    books.query("update billing.payment_methods set is_attached = false")
    assert read(books, "payment_methods") == []


def plan(books: Books, caller: Caller, question: str) -> tuple[str, list[str]]:
    """The plan as text, and the big tables that it reads from end to end."""
    with books.database.acting_as("authenticated", caller.claims) as connection:
        row = connection.execute(f"explain (format json) {question}".encode()).fetchone()
    assert row is not None
    big = {
        found["name"] for found in books.query("select relname as name from pg_class where reltuples > 100")
    }
    scans: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in big:
            scans.append(str(node["Relation Name"]))
        for child in node.get("Plans", []):
            walk(child)

    walk(row[0][0]["Plan"])
    return json.dumps(row[0]), scans


def test_policies_use_the_index_and_ask_for_the_accounts_once(books: Books) -> None:
    books.query(MANY)
    for question in (
        "select * from api.transactions order by id desc limit 50",
        "select * from api.transactions where account_id = 'x7' order by id desc limit 50",
        "select count(*) from api.transactions",
        "select * from api.usage where account_id = 'x7' order by cursor desc limit 50",
        "select * from api.usage_daily where account_id = 'x7'",
    ):
        text, scans = plan(books, STRANGER, question)
        assert "Index Cond" in text, question
        assert "my_accounts" not in text.replace("InitPlan", ""), (
            "asked in a plan of its own, not for each row"
        )
        assert scans == [], question


def test_the_newest_page_of_a_big_account_is_read_in_the_order_of_the_index(books: Books) -> None:
    books.query(MANY)
    question = "select * from api.transactions where account_id = 'a' order by id desc limit 50"
    for caller in (MEMBER, BOTH):
        text, scans = plan(books, caller, question)
        assert scans == []
        assert '"Sort"' not in text
        assert "credit_transactions_pkey" in text


def test_the_documents_list_every_view_with_its_columns(books: Books) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "member-reads.md").read_text()
    listed = {}
    for row in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE):
        listed[row[0]] = re.findall(r"`(\w+)`", row[1])
    found = books.query(
        "select table_name as view, array_agg(column_name::text order by ordinal_position) as columns"
        " from information_schema.columns where table_schema = 'api' group by 1"
    )
    assert listed == {row["view"]: row["columns"] for row in found}


def test_every_view_is_read_by_somebody_without_accounts(books: Books) -> None:
    for view, column in VIEWS.items():
        assert (read(books, view, STRANGER) == []) == bool(column), view
