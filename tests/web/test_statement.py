"""The statement over HTTP, as a page, and on the command line."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.conftest import KeyMaker
from web.local_login import login_url

URL = "/api/credits/statement"
NOW = dt.datetime.now(dt.UTC).strftime("%Y-%m")


@pytest.fixture(autouse=True)
def movements(ledger: Ledger, acme: str) -> None:
    ledger.spend_credits(acme, {"id": "=HYPERLINK(1)", "action": "chat"})
    ledger.place_hold(acme, {"id": "h", "amount": 10_000_000})
    ledger.settle_hold(acme, "h", {"amount": 4_000_000})


def test_a_statement_ties_out_in_decimal_strings(client: FlaskClient, key: KeyMaker) -> None:
    found = client.get(URL, query_string={"account_id": "acme"}, headers=key()).get_json()
    assert [found[name] for name in ("month", "opening", "net", "closing", "is_final")] == [
        NOW, "0", "93.5", "93.5", False,
    ]  # fmt: skip
    assert found["kinds"] == [
        {"kind": "signup", "entries": 1, "credits_in": "100", "credits_out": "0", "net": "100"},
        {"kind": "usage", "entries": 2, "credits_in": "0", "credits_out": "6.5", "net": "-6.5"},
    ]
    assert [found["lots"][0][name] for name in ("opening", "filled", "drawn", "closing")] == [
        "0", "100", "6.5", "93.5",
    ]  # fmt: skip
    assert found["starts_at"].startswith(f"{NOW}-01T00:00:00")


def test_csv_has_every_entry_and_nothing_that_a_spreadsheet_would_run(
    client: FlaskClient, key: KeyMaker
) -> None:
    query = {"account_id": "acme", "month": NOW, "format": "csv"}
    response = client.get(URL, query_string=query, headers=key())
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["kind"], row["credits"], row["balance_after"]) for row in rows] == [
        ("signup", "100", "100"),
        ("usage", "-2.5", "97.5"),
        ("usage", "-4", "93.5"),
    ]
    assert [row["source_id"] for row in rows] == ["acme", "'=HYPERLINK(1)", "h"]


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "26-11", "2026-11-01", "x", "", "\u0662026-11"])
def test_what_is_no_month_is_refused(client: FlaskClient, key: KeyMaker, month: str) -> None:
    query = {"account_id": "acme", "month": month}
    response = client.get(URL, query_string=query, headers=key())
    assert (response.status_code, response.get_json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("shape", ["json", "csv"])
def test_another_accounts_statement_is_not_shown(
    client: FlaskClient, key: KeyMaker, ledger: Ledger, shape: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    query = {"account_id": "acme", "format": shape}
    response = client.get(URL, query_string=query, headers=key(account_id="other"))
    assert (response.status_code, response.get_json()["code"]) == (404, "unknown_account")


def test_the_page_shows_the_month_and_leads_to_its_entries(
    client: FlaskClient, settings: Settings, acme: str
) -> None:
    assert client.get("/billing/statement").status_code == 401
    url = urlsplit(login_url(settings, acme))
    client.get(f"{url.path}?{url.query}")
    page = client.get("/billing/statement").text
    for text in ("Opening balance", "Closing balance", "93.5", "Sign-up credits", "Lot by lot"):
        assert text in page
    assert client.get("/billing/statement?month=1").status_code == 422
    entries = client.get(f"/billing/statement.csv?month={NOW}").text
    assert entries.count("txn_") == 3


def test_months_lead_to_each_other_and_an_empty_one_says_so(
    client: FlaskClient, settings: Settings, acme: str
) -> None:
    url = urlsplit(login_url(settings, acme))
    client.get(f"{url.path}?{url.query}")
    for month, before, after in (
        ("2024-01", "2023-12", "2024-02"), ("2024-02", "2024-01", "2024-03"), ("2024-03", "2024-02", "2024-04"),
        ("2023-12", "2023-11", "2024-01"),
    ):  # fmt: skip
        page = client.get(f"/billing/statement?month={month}").text
        assert re.findall(r'href="/billing/statement\?month=([\d-]+)"', page) == [before, after]
        assert f'href="/billing/statement.csv?month={month}"' in page
        assert "Nothing moved in this month." in page
        assert client.get(f"/billing/statement.csv?month={month}").text.count("\n") == 1
    page = client.get("/billing/statement").text
    assert len(re.findall(r'href="/billing/statement\?month=', page)) == 1, "the future has no statement"
    assert "The month is not over" in page
    figures = dict(re.findall(r"<tr><td>(Usage|Sign-up credits)</td>(.*?)</tr>", page))
    assert re.findall(r">([^<]+)</td>", figures["Usage"]) == ["2", "0", "6.5", "\N{MINUS SIGN}6.5"]
    assert re.findall(r">([^<]+)</td>", figures["Sign-up credits"]) == ["1", "100", "0", "+100"]


def test_the_command_prints_it(app: Flask, acme: str) -> None:
    runner = app.test_cli_runner()
    assert '"closing": "93.5"' in runner.invoke(args=["statement", acme]).output
    assert runner.invoke(args=["statement", acme, "--month", NOW, "--csv"]).output.count("txn_") == 3
    for wrong in (["statement", "nobody"], ["statement", acme, "--month", "1"]):
        assert runner.invoke(args=wrong).exit_code != 0
