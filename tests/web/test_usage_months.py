"""The command line for old months of usage: list, export, drop."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from shared.ledger import Ledger
from tests.support import Database
from tests.web.test_cli import run
from web.cli import usage_months

EVENTS = 7


@pytest.fixture
def month(database: Database, ledger: Ledger, acme: str) -> str:
    """A month three months ago with seven events of account acme."""
    with database.connect(autocommit=True) as connection:
        row = connection.execute(
            "select (date_trunc('month', now() at time zone 'UTC') - interval '3 months')::date::text,"
            " (date_trunc('month', now() at time zone 'UTC') - interval '2 months')::date::text"
        ).fetchone()
        assert row
        first, end = row
        name = f"credit_usage_{first[:7].replace('-', '_')}"
        bounds = f"from ('{first} 00:00+00') to ('{end} 00:00+00')"
        made = f"create table billing.{name} partition of billing.credit_usage for values {bounds}"
        connection.execute(made.encode())
        for table in ("credit_usage", "credit_transactions"):
            clock = f"alter table billing.{table} alter created_at set default '{first} 12:00+00'"
            connection.execute(clock.encode())
    events = [
        {"id": f"e{n}", "amount": 1_500_000, "occurred_at": f"{first}T11:00:00+00:00", "member_id": "mé"}
        for n in range(EVENTS)
    ]
    assert ledger.record_usage(events, acme)["accepted"] == EVENTS
    return str(first[:7])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def test_month_is_exported_page_by_page_and_dropped(
    app: Flask, ledger: Ledger, month: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_months, "ROWS_A_PAGE", 2)
    monkeypatch.setattr(usage_months, "ROWS_A_REPORT", 4)
    file = tmp_path / "usage.jsonl.gz"
    exported = run(app, "usage-months", "export", month, "--to", str(file))
    assert exported.exit_code == 0, exported.output
    assert exported.output.count("events written") == 1
    assert [row["event_id"] for row in lines(file)] == [f"e{n}" for n in range(EVENTS)]
    assert {(row["credits"], row["member_id"]) for row in lines(file)} == {(1_500_000, "mé")}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert hashlib.sha256(file.read_bytes()).hexdigest() in exported.output
    listed = run(app, "usage-months", "list").output
    assert f"{month}  exported            7 events  10.5 credits" in listed

    dropped = run(app, "usage-months", "drop", month)
    assert (dropped.exit_code, "7 events" in dropped.output) == (0, True)
    assert f"{month}  dropped             7 events  10.5 credits" in run(app, "usage-months", "list").output
    assert ledger.check_invariants() == []


def test_two_exports_of_a_month_are_the_same_file(app: Flask, month: str, tmp_path: Path) -> None:
    files = [tmp_path / "first.gz", tmp_path / "second.gz"]
    for file in files:
        assert run(app, "usage-months", "export", month, "--to", str(file)).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[4:8] == bytes(4), "the header names no time"


@pytest.mark.parametrize("taken", ["usage.gz", "usage.gz.part"])
def test_no_file_is_overwritten(app: Flask, month: str, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    ended = run(app, "usage-months", "export", month, "--to", str(tmp_path / "usage.gz"))
    assert (ended.exit_code, "exists" in ended.output) == (1, True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_export_that_is_refused_leaves_no_file(
    app: Flask, ledger: Ledger, month: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = ledger.usage_months()[-1]["month"][:7]
    ended = run(app, "usage-months", "export", last, "--to", str(tmp_path / "usage.gz"))
    assert (ended.exit_code, "not over yet" in ended.output) == (1, True)
    monkeypatch.setattr(usage_months, "_write", lambda *_: (1, 1))
    ended = run(app, "usage-months", "export", month, "--to", str(tmp_path / "usage.gz"))
    assert (ended.exit_code, "Export it again" in ended.output) == (1, True)
    assert list(tmp_path.iterdir()) == []
    assert run(app, "usage-months", "drop", month).exit_code == 1


def test_months_are_named_by_year_and_month(app: Flask, tmp_path: Path) -> None:
    for word in ("2026-13", "november", "2026-11-01"):
        assert run(app, "usage-months", "drop", word).exit_code == 2


def test_directory_that_is_not_there_is_one_sentence(app: Flask, month: str, tmp_path: Path) -> None:
    ended = run(app, "usage-months", "export", month, "--to", str(tmp_path / "none" / "usage.gz"))
    assert (ended.exit_code, "cannot be written" in ended.output) == (1, True)
