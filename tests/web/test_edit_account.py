"""Owners change the account's name and mail address: on the page of notices and by API; and the header says who one is."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from tests.support import Database
from tests.web.at_supabase import settings, supabase
from tests.web.browsing import EMAIL, PASSWORD, rows, sign_in, token_of
from tests.web.conftest import Counts, KeyMaker

__all__ = ["settings", "supabase"]

FORM = "/billing/notices/account"


@pytest.fixture
def ada(client: FlaskClient, supabase: LocalSupabase, ledger: Ledger, acme: str) -> str:
    """A person who owns acme and is signed in."""
    user_id = str(supabase.auth.create_user(EMAIL, PASSWORD)["id"])
    ledger.set_member(acme, user_id, "owner", "tests")
    sign_in(client)
    return user_id


def test_an_owner_edits_by_the_form(
    client: FlaskClient, ada: str, ledger: Ledger, acme: str, database: Database
) -> None:
    page = client.get("/billing/notices").text
    assert 'value="Acme"' in page
    assert 'value="billing@acme.example"' in page
    form = {"csrf_token": token_of(page), "name": "Acme Ltd", "email": "accounting@acme.example"}
    saved = client.post(FORM, data=form, follow_redirects=True).text
    assert "Name and mail address are saved" in saved
    account = ledger.get_account(acme)
    assert (account["name"], account["email"]) == ("Acme Ltd", "accounting@acme.example")
    assert rows(database, "select actor from billing.audit_log where action = 'account.edited'") == [
        (f"member:{ada}",)
    ]
    assert rows(database, "select topic from billing.outbox") == [("account.email_changed",)]
    for wrong in ({"name": "a\0b"}, {"email": "nobody"}, {"name": "x" * 201}, {"name": "", "email": ""}):
        assert 'class="notice bad"' in client.post(FORM, data=form | wrong, follow_redirects=True).text
    assert ledger.get_account(acme) == account


def test_others_see_the_address_and_no_form(
    app: Flask, ada: str, supabase: LocalSupabase, ledger: Ledger, acme: str, money: Counts
) -> None:
    user_id = str(supabase.auth.create_user("bob@example.com", PASSWORD)["id"])
    ledger.set_member(acme, user_id, "admin", "tests")
    browser = app.test_client()
    sign_in(browser, email="bob@example.com")
    page = browser.get("/billing/notices").text
    assert "billing@acme.example" in page
    assert FORM not in page
    before = money()
    assert browser.post(FORM, data={"csrf_token": token_of(page), "name": "Bob Ltd"}).status_code == 403
    assert money() == before


def test_by_api(client: FlaskClient, acme: str, key: KeyMaker, ledger: Ledger) -> None:
    url, headers = f"/api/accounts/{acme}", key(["accounts"], acme)
    edited = client.patch(url, json={"email": "accounting@acme.example"}, headers=headers)
    assert edited.status_code == 200
    assert edited.json["name"] == "Acme"
    assert edited.json["email"] == "accounting@acme.example"
    for wrong in ({}, {"name": None}, {"name": ""}, {"email": "x"}, {"name": "A", "more": 1}):
        refused = client.patch(url, json=wrong, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (422, "invalid_request"), wrong
    assert ledger.get_account(acme)["email"] == "accounting@acme.example"


def test_the_header_says_who_is_signed_in(client: FlaskClient, ada: str) -> None:
    page = client.get("/billing").text
    assert f'<span class="visually-hidden">Signed in as </span>{EMAIL}</span>' in page
