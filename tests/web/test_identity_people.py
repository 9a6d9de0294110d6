"""People have names on the pages: the mail address that they sign in with, and the id in small beside it."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from tests.web.at_supabase import settings, supabase
from tests.web.browsing import EMAIL, PASSWORD, sign_in
from tests.web.conftest import KeyMaker

__all__ = ["settings", "supabase"]

CONSENT = {
    "enabled": True,
    "threshold": 5_000_000,
    "mode": "fixed",
    "credits": 100_000_000,
    "text_version": "1",
}
CAPS = {"caps": {"day": 10_000, "month": 50_000, "per_hour": 3, "currency": "usd"}}


def person(
    supabase: LocalSupabase, ledger: Ledger, email: str, role: str | None, account: str = "acme"
) -> str:
    user_id = str(supabase.auth.create_user(email, PASSWORD)["id"])
    if role is not None:
        ledger.set_member(account, user_id, role, "tests")  # type: ignore[arg-type]
    return user_id


def test_members_are_shown_by_their_addresses_on_the_page_and_in_the_api(
    app: Flask, client: FlaskClient, supabase: LocalSupabase, ledger: Ledger, acme: str, key: KeyMaker
) -> None:
    ada = person(supabase, ledger, EMAIL, "owner")
    bob = person(supabase, ledger, "bob@example.com", "member")
    eve = person(supabase, ledger, "eve@example.com", "admin")
    for email in (EMAIL, "bob@example.com"):
        browser = client if email == EMAIL else app.test_client()
        sign_in(browser, email=email)
        browser.get("/billing")
    page = client.get("/billing/members").text
    for shown in (EMAIL, "bob@example.com", ada, bob, eve, "Not signed in here yet"):
        assert shown in page
    assert "eve@example.com" not in page
    rows = client.get(f"/api/accounts/{acme}/members", headers=key(["accounts"])).json["data"]
    assert {(row["user_id"], row["email"]) for row in rows} == {
        (ada, EMAIL),
        (bob, "bob@example.com"),
        (eve, None),
    }


def test_who_allowed_charges_is_named_and_a_former_member_by_the_id_alone(
    client: FlaskClient, supabase: LocalSupabase, ledger: Ledger, acme: str, app: Flask
) -> None:
    person(supabase, ledger, EMAIL, "owner")
    bob = person(supabase, ledger, "bob@example.com", "owner")
    sign_in(browser := app.test_client(), email="bob@example.com")
    browser.get("/billing")
    ledger.set_auto_topup(acme, CONSENT | CAPS, f"member:{bob}")
    ledger.set_auto_topup(acme, {"enabled": False}, "operator:kim")
    sign_in(client)
    page = client.get("/billing/auto-topup").text
    assert f'bob@example.com<br><small class="muted">{bob}</small>' in page
    assert "operator kim" in page
    ledger.remove_member(acme, bob, "tests")
    page = client.get("/billing/auto-topup").text
    assert "bob@example.com" not in page
    assert f'Former member<br><small class="muted">{bob}</small>' in page


def test_who_is_nobodys_member_reads_the_own_address_and_the_id_in_small(
    client: FlaskClient, supabase: LocalSupabase, ledger: Ledger, acme: str
) -> None:
    ada = person(supabase, ledger, EMAIL, None)
    sign_in(client)
    page = client.get("/billing")
    assert page.status_code == 403
    assert (
        f"You are signed in as {EMAIL}, and a member of no account yet. Ask an owner to invite you."
        in page.text
    )
    assert f'<small class="muted">Your user id: <span class="id">{ada}</span></small>' in page.text
