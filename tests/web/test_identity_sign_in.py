"""Signing in by link and provider, through supabase-py: whom it lets in, and where it never leads."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse

from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.at_supabase import ada, settings, supabase
from tests.web.browsing import (
    EMAIL,
    PASSWORD,
    ask_for_link,
    cookie,
    follow,
    query,
    rows,
    sign_in,
)
from tests.web.conftest import Counts, FakeGateway
from web import create_app, limits
from web.pages.sign_in_page import own_path

__all__ = ["ada", "settings", "supabase"]


def test_magic_link_signs_in_once_and_leads_back(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    told = ask_for_link(client, next="/billing/statement")
    assert "a mail with a link is on its way" in told.text
    back = follow(supabase.auth.mails[-1]["url"])
    done = client.get(back)
    assert (done.status_code, done.location) == (303, "/billing/statement")
    assert client.get("/billing").status_code == 200
    again = client.get(back)
    assert again.status_code == 400
    assert "Please try again here" in again.text


def test_nobody_learns_which_addresses_are_known(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    known, unknown = ask_for_link(client), ask_for_link(client, "nobody@example.com")
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(EMAIL, "").count("on its way") == 1
    assert re.sub(r'value="[^"]*"', "", known.text.replace(EMAIL, "x")) == re.sub(
        r'value="[^"]*"', "", unknown.text.replace("nobody@example.com", "x")
    )
    assert len(supabase.auth.mails) == 1


def test_link_in_another_browser_and_a_forged_state_open_nothing(
    app: Flask, client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    """Of somebody who was lured to an attacker's link: the browser did not begin it."""
    ask_for_link(client)
    back = follow(supabase.auth.mails[-1]["url"])
    victim = app.test_client()
    assert victim.get(back).status_code == 400
    for state in ("", "x", quote(query(back)["state"][:-1])):
        assert client.get(f"/sign-in/callback?code={query(back)['code']}&state={state}").status_code == 400
    assert rows(database, "select * from billing.member_sessions") == []
    ask_for_link(victim)
    mixed = f"/sign-in/callback?code={query(back)['code']}&state={_state(victim)}"
    assert victim.get(mixed).status_code == 401
    assert rows(database, "select * from billing.member_sessions") == []
    assert client.get(back).status_code == 303


def _state(client: FlaskClient) -> str:
    with client.session_transaction() as session:
        return str(next(iter(session["pending"])))


def test_used_or_expired_link_says_so(client: FlaskClient, ada: str, supabase: LocalSupabase) -> None:
    ask_for_link(client)
    supabase.auth._rows["links"].clear()
    answer = client.get(follow(supabase.auth.mails[-1]["url"]))
    assert answer.status_code == 401
    assert "used up" in answer.text


def test_provider_is_one_click_and_only_those_that_are_set(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    page = client.get("/sign-in?next=/billing/statement").text
    assert "Continue with GitHub" in page
    go = client.get("/sign-in/with/github?next=%2Fbilling%2Fstatement")
    assert go.location.startswith(f"{supabase.url}/auth/v1/authorize?")
    assert query(go.location)["code_challenge_method"] == "s256"
    click = re.search(r'href="([^"]*user=[^"]*)"', httpx.get(go.location).text)
    assert click is not None
    done = client.get(follow(supabase.url + click[1].replace("&amp;", "&")))
    assert (done.status_code, done.location) == (303, "/billing/statement")
    assert client.get("/sign-in/with/azure").status_code == 404


def test_several_sign_ins_under_way_do_not_disturb_each_other(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    for _ in range(5):
        ask_for_link(client)
    assert len(cookie(client)) < 4000
    mails = supabase.auth.mails
    assert client.get(follow(mails[0]["url"])).status_code == 400
    assert client.get(follow(mails[-2]["url"])).status_code == 303


# Where it leads, forms of others, floods


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:alert(1)",
     "",
     "/billing\r\nSet-Cookie: a=b", "billing", "/\0", "/%0a" * 200, "/sign-in/with/github", "/api/me", "/ä"],
)  # fmt: skip
def test_87_no_sign_in_leads_elsewhere(client: FlaskClient, ada: str, address: str) -> None:
    assert own_path(address) == "/billing"
    assert sign_in(client, next=address).location == "/billing"
    assert client.get("/sign-in", query_string={"next": address}).location == "/billing"


@pytest.mark.parametrize("address", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_87_no_link_and_no_provider_leads_elsewhere(
    client: FlaskClient, ada: str, supabase: LocalSupabase, address: str
) -> None:
    ask_for_link(client, next=address)
    assert client.get("/sign-in/with/github", query_string={"next": address}).status_code == 303
    with client.session_transaction() as session:
        assert [begun["next"] for begun in session["pending"].values()] == ["/billing"] * 2
    assert client.get(follow(supabase.auth.mails[-1]["url"])).location == "/billing"


def test_87_own_paths_are_kept() -> None:
    for path in ("/billing", "/billing/statement?month=2026-10", "/", "/billing/success?payment=pay_1"):
        assert own_path(path) == path
    assert own_path(None) == "/billing"


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-in/link", "/billing/account", "/billing/sign-out", "/billing/checkout"]
)
def test_86_forms_of_other_sites_are_refused(
    client: FlaskClient, ada: str, money: Counts, gateway: FakeGateway, supabase: LocalSupabase, path: str
) -> None:
    sign_in(client)
    before, asked = money(), len(supabase.requests)
    form = {
        "email": EMAIL,
        "password": PASSWORD,
        "account_id": "acme",
        "package_id": "credits_100",
        "request_id": "form_1",
    }
    for token in ({}, {"csrf_token": "x"}):
        assert client.post(path, data=form | token).status_code == 400
    assert money() == before
    assert gateway.sessions == []
    assert len(supabase.requests) == asked
    assert client.get("/billing").status_code == 200


def test_90_behind_a_proxy_people_are_counted_and_not_what_they_claim(
    settings: Settings, ledger: Ledger, gateway: FakeGateway, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SIGN_INS_PER_ADDRESS", parse("3 per minute"))

    def tries(proxies: int, last: list[str]) -> list[int]:
        """Each claims another address of its own in front of the one that the proxy has seen."""
        behind = settings.model_copy(update={"trusted_proxies": proxies})
        client = create_app(behind, ledger=ledger, gateway=gateway).test_client()  # type: ignore[arg-type]
        return [
            client.get(
                "/sign-in/with/github", headers={"X-Forwarded-For": f"10.9.9.{number}, {address}"}
            ).status_code
            for number, address in enumerate(last)
        ]

    assert tries(1, ["192.0.2.1"] * 4) == [303, 303, 303, 429]
    assert tries(1, ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]) == [303] * 4
    assert tries(0, ["192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9"]) == [303, 303, 303, 429]


def test_guessing_a_password_is_slowed_down(client: FlaskClient, ada: str, supabase: LocalSupabase) -> None:
    statuses = [sign_in(client, "wrong").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert sign_in(client).status_code == 429
    assert supabase.requests.count("POST /auth/v1/token") == 10
