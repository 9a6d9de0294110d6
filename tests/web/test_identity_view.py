"""Which account a person has in view: where a session begins, what moves it, and forms of an account that was left."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from tests.web.at_supabase import settings, supabase
from tests.web.browsing import EMAIL, PASSWORD, sign_in, token_of
from tests.web.conftest import Counts

__all__ = ["settings", "supabase"]

LEVELS = "/billing/notices/levels"


@pytest.fixture
def ada(supabase: LocalSupabase, ledger: Ledger, acme: str) -> str:
    """A person who owns acme and second."""
    user_id = str(supabase.auth.create_user(EMAIL, PASSWORD)["id"])
    ledger.set_member(acme, user_id, "owner", "tests")
    ledger.open_account("second", "Second Ltd", None, user_id, 0, "tests")
    ledger.set_member(acme, "00000000-0000-4000-8000-00000000aaaa", "owner", "tests")
    ledger.set_member("second", "00000000-0000-4000-8000-00000000aaaa", "owner", "tests")
    return user_id


def shown(client: FlaskClient) -> str:
    page = client.get("/billing").text
    return page.partition(" selected>")[0].rpartition('value="')[2].rstrip('"')


def switch(client: FlaskClient, account: str) -> None:
    form = {"csrf_token": token_of(client.get("/billing").text), "account_id": account}
    assert client.post("/billing/account", data=form).status_code == 303


def sign_out(client: FlaskClient) -> None:
    client.post("/billing/sign-out", data={"csrf_token": token_of(client.get("/billing").text)})


def test_a_session_begins_in_the_account_that_the_last_one_had_in_view(
    app: Flask, client: FlaskClient, ada: str, ledger: Ledger
) -> None:
    sign_in(client)
    assert shown(client) == "acme"
    switch(client, "second")
    sign_out(client)
    sign_in(client)
    assert shown(client) == "second"
    other_browser = app.test_client()
    sign_in(other_browser)
    assert shown(other_browser) == "second"
    sign_out(client)
    ledger.remove_member("second", ada, "tests")
    ledger.open_account("aaa", "Aaa", None, ada, 0, "tests")
    sign_in(client)
    assert shown(client) == "acme", "the one in view before, not the first by name"


def test_a_membership_that_comes_later_changes_nothing_in_view(
    client: FlaskClient, ada: str, ledger: Ledger
) -> None:
    sign_in(client)
    assert shown(client) == "acme"
    ledger.open_account("aaa", "Aaa", None, ada, 0, "tests")
    assert shown(client) == "acme"


def test_a_form_of_an_account_that_was_left_does_nothing_in_another(
    client: FlaskClient, ada: str, ledger: Ledger, money: Counts
) -> None:
    sign_in(client)
    switch(client, "second")
    form = {"csrf_token": token_of(client.get("/billing/notices").text), "levels": "77"}
    ledger.remove_member("second", ada, "tests")
    before = money()
    for path in (LEVELS, "/billing/auto-topup/off"):
        refused = client.post(path, data=form)
        assert refused.status_code == 409, path
        assert "You are no member of this account any more" in refused.text
    page = client.get("/billing")
    assert page.status_code == 200
    assert "This is Acme" in page.text
    assert "This is Acme" not in client.get("/billing").text
    # The page of the account that was left is still open in a tab.
    assert client.post(LEVELS, data=form).status_code == 400
    after = money()
    assert {name for name in after if after[name] != before[name]} == {"account_members"}, "when it was seen"


def test_a_form_that_another_tab_showed_before_a_switch_does_nothing_after_it(
    client: FlaskClient, ada: str, money: Counts
) -> None:
    sign_in(client)
    form = {"csrf_token": token_of(client.get("/billing/notices").text), "levels": "77"}
    switch(client, "second")
    before = money()
    assert client.post(LEVELS, data=form).status_code == 400
    assert money() == before
