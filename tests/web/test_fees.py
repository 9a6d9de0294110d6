"""Fees and taxes on the command line, in the API and on the page."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.web.conftest import FakeGateway, KeyMaker
from tests.web.test_cli import run

MONEY = {"currency": "usd"}
LINES = [
    {"kind": "credits", "label": "Credits", "amount": 500},
    {"kind": "fee", "label": "Card fee", "amount": 45},
    {"kind": "tax", "label": "VAT", "amount": 109},
]


@pytest.fixture
def rules(app: Flask) -> None:
    for words in (
        ("card", "--kind", "fee", "--label", "Card fee", "--percent", "2.9", "--fixed", "30"),
        ("vat", "--kind", "tax", "--label", "VAT", "--percent", "20"),
    ):
        assert run(app, "fees", "set", *words).exit_code == 0


def test_packages_keep_their_price_and_show_the_whole_charge(client: FlaskClient, rules: None) -> None:
    package = client.get("/api/billing/packages").json["data"][0]
    assert (package["price"], package["total"]) == ({"amount": 500, **MONEY}, {"amount": 654, **MONEY})
    assert package["lines"] == LINES


def test_checkout_is_opened_with_the_lines(
    client: FlaskClient, key: KeyMaker, gateway: FakeGateway, acme: str, rules: None
) -> None:
    body = {"account_id": acme, "package_id": "credits_100"}
    assert client.post("/api/billing/checkout-sessions", json=body, headers=key(["admin"])).status_code == 201
    assert gateway.sessions[0][0]["lines"] == LINES
    (payment,) = client.get("/api/billing/payments?account_id=acme", headers=key(["read"])).json["data"]
    assert (payment["total"]["amount"], payment["price"]["amount"], payment["lines"]) == (654, 500, LINES)


def test_consent_says_what_one_charge_is(client: FlaskClient, key: KeyMaker, acme: str, rules: None) -> None:
    body = {
        "account_id": acme,
        "enabled": True,
        "threshold": "10",
        "amount": "100",
        "consent": {"text_version": "1"},
    }
    answer = client.put("/api/billing/auto-topup", json=body, headers=key(["admin"]))
    charge = answer.json["charge"]
    assert (charge["price"]["amount"], charge["total"]["amount"], charge["lines"]) == (500, 654, LINES)


def test_commands_list_switch_off_and_remove(app: Flask, ledger: Ledger, rules: None) -> None:
    assert "card  fee  2.9 % + 30  every currency  both  Card fee" in run(app, "fees", "list").output
    off = run(app, "fees", "set", "vat", "--kind", "tax", "--label", "VAT", "--percent", "20", "--off")
    assert off.output == "vat is off\n"
    assert ledger.list_packages()[0]["total"] == 545
    assert run(app, "fees", "remove", "card").exit_code == 0
    assert run(app, "fees", "remove", "card").exit_code == 1
    assert ledger.list_packages()[0]["total"] == 500


@pytest.mark.parametrize(
    "words",
    [
        ("a b", "--percent", "1"),
        ("x", "--percent", "1.00001"),
        ("x", "--percent", "101"),
        ("x", "--percent", "-1"),
        ("x", "--percent", "1e1"),
        ("x", "--fixed", "-1"),
        ("x", "--currency", "USD", "--percent", "1"),
        ("x",),
    ],
)
def test_wrong_rules_are_refused(app: Flask, ledger: Ledger, words: tuple[str, ...]) -> None:
    assert run(app, "fees", "set", *words, "--kind", "fee", "--label", "Fee").exit_code != 0
    assert ledger.list_fee_rules() == []
