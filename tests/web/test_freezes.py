"""Freezes on the pages, by API and by command line: what an account and its operators see, and how one is lifted."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import OPERATOR, rows
from tests.web.conftest import KeyMaker, make_settings
from tests.web.test_cli import run
from tests.web.test_operators import audit, enter, send
from web.local_login import login_url

CREDIT = 1_000_000
WHY = "The customer is known"


@pytest.fixture
def settings(dsn: str, redis_url: str) -> Settings:
    return make_settings(dsn, redis_url, OPERATORS=OPERATOR)


@pytest.fixture
def dana(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    return enter(app, settings, OPERATOR)


@pytest.fixture
def owner(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    client, url = app.test_client(), urlsplit(login_url(settings, acme))
    assert client.get(f"{url.path}?{url.query}").status_code == 303
    return client


@pytest.fixture
def paid(ledger: Ledger, acme: str) -> str:
    """A purchase, auto top-up on, and a card."""
    ledger.link_customer(acme, "cus_acme")
    ledger.set_default_payment_method(acme, "pm_1", {"brand": "visa", "last4": "4242"}, "tests")
    wanted = {"enabled": True, "threshold": 10 * CREDIT, "credits": 100 * CREDIT, "text_version": "v1"}
    ledger.set_auto_topup(acme, wanted, "tests")
    ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_acme")
    facts = {"payment_intent": "pi_1", "customer": "cus_acme", "currency": "usd", "amount_received": 500}
    ledger.settle_payment("pay_1", facts)
    return "pay_1"


def tell(ledger: Ledger, *statuses: str) -> None:
    """Disputes dp_0, dp_1 … of the payment, with these statuses."""
    facts: dict[str, Any] = {"refunds": [], "disputes": []}
    for number, said in enumerate(statuses):
        facts["disputes"].append(
            {
                "id": f"dp_{number}",
                "amount": 500,
                "status": said,
                "reason": "fraudulent",
                "created": int(time.time()),
                "withdrawn": False,
            }
        )
    ledger.reverse_payment("pay_1", ledger.get_reversals("pay_1")["version"], facts)


def test_operators_see_what_freezes_and_lift_it_on_the_accounts_page(
    dana: FlaskClient, ledger: Ledger, database: Database, paid: str
) -> None:
    assert "Let it spend" not in dana.get("/ops/accounts/acme").text
    tell(ledger, "needs_response")
    page = dana.get("/ops/accounts/acme").text
    assert "the account may not spend" in page
    assert 'name="covers" value="dp_0"' in page
    said = send(dana, "/accounts/unfreeze", account_id="acme", covers=["dp_0"], reason=WHY)
    assert "The account may spend again. Automatic charges stay paused." in said
    assert f"lifted by operator:{OPERATOR}" in said
    assert WHY in said
    assert audit(database, "account.unfrozen") == [(f"operator:{OPERATOR}", "acme")]
    assert ledger.get_account("acme")["status"] == "active"
    assert "None of these freezes this account now" in send(
        dana, "/accounts/unfreeze", account_id="acme", covers=["dp_0"], reason=WHY
    )


def test_a_dispute_that_came_after_the_page_was_read_is_not_lifted(
    dana: FlaskClient, ledger: Ledger, paid: str
) -> None:
    tell(ledger, "needs_response", "needs_response")
    send(dana, "/accounts/unfreeze", account_id="acme", covers=["dp_0"], reason=WHY)
    assert ledger.get_account("acme")["status"] == "paused"


def test_without_a_reason_nothing_is_lifted(dana: FlaskClient, ledger: Ledger, paid: str) -> None:
    tell(ledger, "needs_response")
    send(dana, "/accounts/unfreeze", account_id="acme", covers=["dp_0"], reason=" ")
    assert ledger.get_account("acme")["status"] == "paused"


def test_the_account_says_what_is_disputed_and_what_goes_on(
    owner: FlaskClient, ledger: Ledger, paid: str
) -> None:
    tell(ledger, "warning_needs_response")
    page = owner.get("/billing").text
    assert "The bank asks about a payment." in page
    assert "Agents may go on; nothing is charged by itself until the bank has decided." in page
    assert "Nothing is charged automatically until it has." in owner.get("/billing/auto-topup").text
    assert ">Resume</button>" not in owner.get("/billing/auto-topup").text
    tell(ledger, "needs_response")
    page = owner.get("/billing").text
    assert "agents cannot spend until the bank has decided" in page
    assert "Agents may go on" not in page
    ledger.unfreeze_account("acme", None, WHY, "operator:dana")
    page = owner.get("/billing").text
    assert "A payment is disputed." in page
    assert "Agents may go on" in page
    assert WHY not in page
    tell(ledger, "won")
    assert "an operator let this account spend again after a freeze" in owner.get("/billing").text
    page = owner.get("/billing/auto-topup").text
    assert "Nothing is charged automatically until an owner resumes it." in page
    assert ">Resume</button>" in page


def test_a_key_of_the_platform_lifts_a_freeze_and_no_other_key_does(
    client: FlaskClient, ledger: Ledger, key: KeyMaker, database: Database, paid: str
) -> None:
    tell(ledger, "needs_response", "needs_response")
    url, body = "/api/accounts/acme/unfreeze", {"reason": WHY, "covers": ["dp_0"], "actor": "dana"}
    for headers, status, code in (
        (key(["accounts", "spend", "usage", "price", "read"]), 403, "scope_missing"),
        (key(["admin"], "acme"), 403, "key_bound"),
    ):
        refused = client.post(url, json=body, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (status, code)  # type: ignore[index]
    token = key(["admin", "read"])
    first: Any = client.post(url, json=body, headers=token).json
    assert (first["status"], first["lifted"]) == ("paused", ["dp_0"])
    assert [(one["id"], one["frozen"]) for one in first["freezes"]] == [("dp_1", True), ("dp_0", False)]
    assert "lifted_by" not in first["freezes"][0]
    second: Any = client.post(url, json={"reason": WHY}, headers=token).json
    assert (second["status"], second["lifted"]) == ("active", ["dp_1"])
    again = client.post(url, json={"reason": WHY}, headers=token)
    assert (again.status_code, again.json["code"]) == (409, "not_frozen")  # type: ignore[index]
    assert client.post(url, json={}, headers=token).status_code == 422
    assert client.post(url, json={"reason": WHY, "covers": []}, headers=token).status_code == 422
    balance: Any = client.get("/api/credits/balance?account_id=acme", headers=token).json
    assert (balance["status"], balance["dispute"]) == ("active", "dispute")
    assert balance["auto_topup"]["paused_reason"] == "dispute_open"
    actors = rows(database, "select actor from billing.audit_log where action = 'account.unfrozen'")
    assert [actor.startswith("dana (api_key:") for (actor,) in actors] == [True, False]


def test_the_command_line_lifts_a_freeze(app: Flask, ledger: Ledger, paid: str) -> None:
    refused = run(app, "accounts", "unfreeze", "acme", "--reason", WHY)
    assert refused.exit_code == 1
    assert "Nothing freezes this account." in refused.output
    tell(ledger, "needs_response", "under_review")
    assert run(app, "accounts", "unfreeze", "acme").exit_code != 0
    assert '"paused"' in run(app, "accounts", "unfreeze", "acme", "--reason", WHY, "--dispute", "dp_1").output
    assert '"active"' in run(app, "accounts", "unfreeze", "acme", "--reason", WHY).output
    assert WHY in run(app, "accounts", "show", "acme").output
