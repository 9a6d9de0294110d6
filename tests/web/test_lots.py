"""Operators extend lots, by API and by command line."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.support import Database
from tests.web.conftest import Counts, KeyMaker
from tests.web.test_cli import run

LATER = "2099-03-01T00:00:00+00:00"


@pytest.fixture
def lot(database: Database, acme: str) -> str:
    """The id of a lot of ten credits that expires in a day."""
    with database.connect() as connection:
        connection.execute(
            "select billing._post_grant(%s, 'promotion', 'promotions', 10000000, 'test', 'lot',"
            " p_expires_at => now() + interval '1 day')",
            [acme],
        )
        row = connection.execute("select id from billing.credit_lots where source = 'test:lot'").fetchone()
    assert row is not None
    return f"lot_{row[0]}"


def expiry(ledger: Ledger, lot_id: str) -> str | None:
    lots = ledger.list_lots("acme", 10, None)["data"]
    return next(lot["expires_at"] for lot in lots if f"lot_{lot['id']}" == lot_id)


def test_a_lot_is_extended_and_the_audit_log_names_person_and_key(
    client: FlaskClient, key: KeyMaker, ledger: Ledger, database: Database, lot: str
) -> None:
    body = {
        "account_id": "acme",
        "expires_at": "2099-03-01T01:00:00+01:00",
        "reason": "goodwill",
        "actor": "dana",
    }
    for _ in range(2):
        answer = client.post(f"/api/credits/lots/{lot}/extend", json=body, headers=key(["admin"]))
        assert (answer.status_code, answer.json["id"], answer.json["remaining"]) == (200, lot, "10")
    assert expiry(ledger, lot) == answer.json["expires_at"] == LATER
    with database.connect() as connection:
        rows = connection.execute(
            "select actor, details from billing.audit_log where action = 'lot.extended'"
        ).fetchall()
    assert rows == [("dana (api_key:tests)", {"expires_at": LATER, "reason": "goodwill"})]


def test_null_lets_it_live_for_ever(client: FlaskClient, key: KeyMaker, ledger: Ledger, lot: str) -> None:
    body = {"expires_at": None, "reason": "goodwill"}
    answer = client.post(f"/api/credits/lots/{lot}/extend", json=body, headers=key(["admin"], "acme"))
    assert (answer.json["expires_at"], expiry(ledger, lot)) == (None, None)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "invalid_value"),
        ({"expires_at": "2099-01-01"}, 422, "invalid_request"),
        ({"expires_at": "tomorrow"}, 422, "invalid_request"),
        ({"reason": ""}, 422, "invalid_request"),
        ({"reason": None}, 422, "invalid_request"),
        ({"account_id": "nobody"}, 404, "unknown_account"),
        ({"credits": "1"}, 422, "invalid_request"),
    ],
)
def test_bad_extension_is_refused_and_nothing_moves(
    client: FlaskClient,
    key: KeyMaker,
    money: Counts,
    lot: str,
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    body = {"account_id": "acme", "expires_at": LATER, "reason": "goodwill"} | change
    headers, before = key(["admin"]), money()
    answer = client.post(f"/api/credits/lots/{lot}/extend", json=body, headers=headers)
    assert (answer.status_code, answer.json["code"], money()) == (status, code, before)


@pytest.mark.parametrize(
    ("lot_id", "status"),
    [
        ("lot_999", 404),
        ("1", 422),
        ("lot_0", 422),
        ("lot_-1", 422),
        ("lot_1e3", 422),
        (f"lot_{'9' * 19}", 422),
    ],
)
def test_id_that_names_no_lot_is_refused(
    client: FlaskClient, key: KeyMaker, acme: str, lot_id: str, status: int
) -> None:
    body = {"account_id": acme, "expires_at": LATER, "reason": "goodwill"}
    answer = client.post(f"/api/credits/lots/{lot_id}/extend", json=body, headers=key(["admin"]))
    assert answer.status_code == status


def test_without_expires_at_nothing_is_extended(
    client: FlaskClient, key: KeyMaker, ledger: Ledger, lot: str
) -> None:
    """Null means never, so it has to be said."""
    before = expiry(ledger, lot)
    body = {"account_id": "acme", "reason": "goodwill"}
    answer = client.post(f"/api/credits/lots/{lot}/extend", json=body, headers=key(["admin"]))
    assert (answer.status_code, expiry(ledger, lot)) == (422, before)


def test_commands_list_and_extend(app: Flask, ledger: Ledger, lot: str) -> None:
    assert f"{lot}  " in run(app, "lots", "list", "acme").output
    for text, wanted in (("2099-03-01", LATER), ("2099-03-02T00:00:00Z", "2099-03-02T00:00:00+00:00")):
        extended = run(app, "lots", "extend", "acme", lot, text, "--reason", "goodwill")
        assert (extended.exit_code, expiry(ledger, lot)) == (0, wanted)
    assert "2099-03-02" in run(app, "lots", "list", "acme").output
    assert run(app, "lots", "extend", "acme", lot, "never", "--reason", "goodwill").exit_code == 0
    assert expiry(ledger, lot) is None


@pytest.mark.parametrize("words", [("acme", "lot_x", "never"), ("acme", "{lot}", "2099-03-01T00:00"),
                                   ("acme", "{lot}", "soon"), ("acme", "lot_999", "never"),
                                   ("nobody", "{lot}", "never"), ("acme", "{lot}", "2020-01-01")])  # fmt: skip
def test_commands_refuse_what_is_wrong(
    app: Flask, ledger: Ledger, lot: str, words: tuple[str, str, str]
) -> None:
    before = expiry(ledger, lot)
    refused = run(app, "lots", "extend", *(word.format(lot=lot) for word in words), "--reason", "x")
    assert (refused.exit_code != 0, expiry(ledger, lot)) == (True, before)
