"""Deferred revenue by API and command line: who sees what, JSON and CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.web.conftest import KeyMaker
from tests.web.test_cli import run

PATH = "/api/billing/revenue"
MONTH = dt.datetime.now(dt.UTC).strftime("%Y-%m")


def sell(ledger: Ledger, account_id: str) -> None:
    """A hundred credits for five dollars, of which thirty are used."""
    payment = ledger.open_purchase(f"pay_{account_id}", account_id, "credits_100", 1, f"cus_{account_id}")
    facts = {"payment_intent": f"pi_{account_id}", "customer": f"cus_{account_id}", "amount_received": 500,
             "currency": "usd", "charge": "ch"}  # fmt: skip
    ledger.settle_payment(payment["id"], facts)


@pytest.fixture(autouse=True)
def sold(ledger: Ledger) -> None:
    for name in ("acme", "other"):
        ledger.open_account(name, name, None, None, 0, "tests")
        sell(ledger, name)
    ledger.spend_credits("acme", {"id": "s", "amount": 30_000_000})


def closing(answer: Any) -> list[tuple[str, int]]:
    return [(row["currency"], row["closing"]) for row in answer.json["currencies"]]


def test_an_unbound_key_gets_the_whole_or_the_account_that_it_names(
    client: FlaskClient, key: KeyMaker
) -> None:
    headers = key(["admin"])
    whole = client.get(PATH, headers=headers)
    assert (closing(whole), whole.json["account_id"], whole.json["month"]) == ([("usd", 850)], None, MONTH)
    one = client.get(f"{PATH}?account_id=acme&month={MONTH}", headers=headers)
    assert (closing(one), one.json["account_id"]) == ([("usd", 350)], "acme")
    (kind,) = one.json["currencies"][0]["kinds"]
    assert (kind["kind"], kind["sold"], kind["used"]) == ("purchases", 500, 150)
    assert closing(client.get(f"{PATH}?month=2020-01", headers=headers)) == []


def test_a_bound_key_gets_its_own_account_only(client: FlaskClient, key: KeyMaker) -> None:
    headers = key(["admin"], "other")
    assert closing(client.get(PATH, headers=headers)) == [("usd", 500)]
    refused = client.get(f"{PATH}?account_id=acme", headers=headers)
    assert (refused.status_code, refused.json["code"]) == (404, "unknown_account")


@pytest.mark.parametrize(
    "query", ["month=2026-13", "month=26-1", "month=", "format=xml", "account_id=", "x=1"]
)
def test_a_wrong_question_is_refused(client: FlaskClient, key: KeyMaker, query: str) -> None:
    assert client.get(f"{PATH}?{query}", headers=key(["admin"])).status_code == 422


def test_csv_has_the_same_figures(client: FlaskClient, key: KeyMaker) -> None:
    answer = client.get(f"{PATH}?format=csv", headers=key(["admin"]))
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["kind"], row["sold"], row["used"], row["closing"]) for row in rows] == [
        ("purchases", "1000", "150", "850"),
        ("all", "1000", "150", "850"),
    ]


def test_command_prints_a_table_and_csv(app: Flask) -> None:
    table = run(app, "revenue", "--month", MONTH).output
    assert "all accounts  (so far)" in table
    assert "$8.50" in table
    assert "$3.50" in run(app, "revenue", "--account", "acme").output
    assert run(app, "revenue", "--csv").output.splitlines()[1].startswith(f"{MONTH},usd,purchases,0,1000,")
    assert run(app, "revenue", "--account", "nobody").exit_code == 1
