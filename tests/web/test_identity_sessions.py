"""Sessions on the pages: what the browser holds and what not, how tokens are renewed, when a session ends."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.supabase.app import LocalSupabase
from local.supabase.errors import AuthError
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.at_supabase import ada, settings, supabase
from tests.web.browsing import (
    EMAIL,
    PASSWORD,
    cookie,
    decoded,
    rows,
    sign_in,
    token_of,
)
from tests.web.conftest import FakeGateway
from web import create_app, sessions

__all__ = ["ada", "settings", "supabase"]


def test_password_signs_in_and_leads_back_to_where_one_was(client: FlaskClient, ada: str) -> None:
    wall = client.get("/billing/statement?month=2026-10")
    assert wall.status_code == 401
    assert 'name="next" value="/billing/statement?month=2026-10"' in wall.text
    done = sign_in(client, next="/billing/statement?month=2026-10")
    assert (done.status_code, done.location) == (303, "/billing/statement?month=2026-10")
    assert "Acme" in client.get("/billing").text
    assert client.get("/sign-in").location == "/billing"


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD)])
def test_wrong_password_says_no_more_than_that(
    client: FlaskClient, ada: str, database: Database, email: str, password: str
) -> None:
    answer = sign_in(client, password, email=email)
    assert answer.status_code == 401
    assert "That did not sign you in" in answer.text
    assert password not in answer.text
    assert client.get("/billing").status_code == 401
    assert rows(database, "select * from billing.member_sessions") == []


def test_tokens_are_neither_in_the_cookie_nor_readable_in_the_database(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    sign_in(client)
    refresh = next(iter(supabase.auth._rows["refresh"]))
    held = decoded(cookie(client))
    assert "eyJ" not in held
    assert refresh not in held
    assert ada not in held
    assert len(cookie(client)) < 1000
    ((hash_, tokens),) = rows(database, "select hash, tokens from billing.member_sessions")
    assert bytes(tokens).startswith(b"gAAAA")  # Fernet
    assert b"eyJhbGciOi" not in bytes(tokens)
    assert refresh.encode() not in bytes(tokens)
    assert re.search(r'"sid":"([^"]+)"', held)[1].encode() not in bytes(hash_)  # type: ignore[index]


def test_cookie_is_guarded_and_in_production_bound_to_the_host(
    client: FlaskClient, ada: str, settings: Settings, ledger: Ledger, gateway: FakeGateway
) -> None:
    headers = sign_in(client).headers["Set-Cookie"]
    assert "HttpOnly" in headers
    assert "SameSite=Lax" in headers
    production = settings.model_copy(
        update={"environment": "production", "base_url": "https://refill.example"}
    )
    browser = create_app(production, ledger=ledger, gateway=gateway).test_client()  # type: ignore[arg-type]
    page = browser.get("/sign-in", base_url="https://refill.example").headers["Set-Cookie"]
    assert page.startswith("__Host-refill=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in page
    assert "Domain" not in page


def test_signing_in_gives_a_new_id_and_ends_the_one_before(
    client: FlaskClient, ada: str, database: Database
) -> None:
    """An id that somebody put into the browser beforehand is worth nothing afterwards."""
    with client.session_transaction() as planted:
        planted["sid"] = "planted"
        planted["pending"] = {"planted": {"verifier": "v", "next": "/", "until": 2**40}}
    client.get("/sign-in")
    with client.session_transaction() as session:
        secret = session["csrf_token"]
    sign_in(client)
    held = decoded(cookie(client))
    assert "planted" not in held
    assert secret not in held, "whoever planted the cookie would know what guards the forms"
    first = cookie(client)
    with client.session_transaction() as session:
        before = session["sid"]
    token = token_of(client.get("/billing").text)
    client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "csrf_token": token})
    with client.session_transaction() as session:
        assert session["sid"] != before
    assert len(rows(database, "select 1 from billing.member_sessions")) == 1
    client.set_cookie("refill", first)
    assert client.get("/billing").status_code == 401


def test_altered_cookie_opens_nothing(client: FlaskClient, ada: str) -> None:
    sign_in(client)
    value = cookie(client)
    client.set_cookie("refill", ("A" if value[0] != "A" else "B") + value[1:])
    assert client.get("/billing").status_code == 401


def test_signing_out_ends_it_here_and_at_supabase(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    sign_in(client)
    stolen = cookie(client)
    assert len(supabase.auth._rows["sessions"]) == 1
    out = client.post("/billing/sign-out", data={"csrf_token": token_of(client.get("/billing").text)})
    assert (out.status_code, out.location) == (303, "/sign-in")
    assert supabase.auth._rows["sessions"] == {}
    assert rows(database, "select * from billing.member_sessions") == []
    with client.session_transaction() as left:
        assert "sid" not in left
    client.set_cookie("refill", stolen)
    assert client.get("/billing").status_code == 401


def test_signing_out_works_while_supabase_is_away(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    sign_in(client)
    token = token_of(client.get("/billing").text)
    supabase.away = True
    assert client.post("/billing/sign-out", data={"csrf_token": token}).status_code == 303
    assert rows(database, "select * from billing.member_sessions") == []


def test_signing_out_with_a_token_that_has_ended_ends_it_at_supabase_by_a_new_one(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    sign_in(client)
    token = token_of(client.get("/billing").text)
    age(database, -10)
    assert client.post("/billing/sign-out", data={"csrf_token": token}).status_code == 303
    assert refreshes(supabase) == 1
    assert supabase.auth._rows["sessions"] == {}


def test_supabase_away_is_a_503_page_and_nobody_is_signed_in(
    client: FlaskClient, ada: str, supabase: LocalSupabase
) -> None:
    client.get("/sign-in")
    supabase.away = True
    answer = sign_in(client)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert client.get("/billing").status_code == 401


def age(database: Database, seconds: int) -> None:
    """The access token ends in so many seconds."""
    with database.connect() as connection:
        connection.execute(
            "update billing.member_sessions set token_expires_at = now() + make_interval(secs => %s)",
            [seconds],
        )


def refreshes(supabase: LocalSupabase) -> int:
    return supabase.requests.count("POST /auth/v1/token") - 1  # the first signed in


@pytest.mark.parametrize("seconds", [30, -3600])
def test_tokens_are_renewed_once_by_many_requests_at_once(
    app: Flask, client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database, seconds: int
) -> None:
    sign_in(client)
    held = cookie(client)
    age(database, seconds)

    def look(_number: int) -> int:
        browser = app.test_client()
        browser.set_cookie("refill", held)
        return browser.get("/billing").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(16))) == {200}
    assert refreshes(supabase) == 1
    ((left,),) = rows(
        database, "select extract(epoch from token_expires_at - now()) from billing.member_sessions"
    )
    assert left > 3000


def test_session_that_ended_at_supabase_ends_here_and_leads_back(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    sign_in(client)
    supabase.auth.delete_user(ada)
    age(database, 30)
    wall = client.get("/billing/statement")
    assert wall.status_code == 401
    assert 'name="next" value="/billing/statement"' in wall.text
    assert rows(database, "select * from billing.member_sessions") == []


def test_while_supabase_is_away_a_valid_token_goes_on_and_an_ended_one_waits(
    client: FlaskClient, ada: str, supabase: LocalSupabase, database: Database
) -> None:
    sign_in(client)
    supabase.away = True
    age(database, 30)
    assert client.get("/billing").status_code == 200
    age(database, -1)
    rows(database, "update billing.member_sessions set refreshing_until = '-infinity' returning 1")
    assert client.get("/billing").status_code == 503
    supabase.away = False
    rows(database, "update billing.member_sessions set refreshing_until = '-infinity' returning 1")
    assert client.get("/billing").status_code == 200


def test_too_many_renewals_at_supabase_end_no_session(
    client: FlaskClient,
    ada: str,
    supabase: LocalSupabase,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(client)

    def busy(*_: object) -> NoReturn:
        raise AuthError(429, "over_request_rate_limit", "too many")

    monkeypatch.setattr(supabase.auth, "by_refresh_token", busy)
    age(database, 30)
    assert client.get("/billing").status_code == 200
    assert len(rows(database, "select * from billing.member_sessions")) == 1


def test_signing_out_on_one_device_leaves_the_others_signed_in(
    app: Flask, client: FlaskClient, ada: str, database: Database
) -> None:
    phone = app.test_client()
    sign_in(client)
    sign_in(phone)
    client.post("/billing/sign-out", data={"csrf_token": token_of(client.get("/billing").text)})
    age(database, 30)
    assert client.get("/billing").status_code == 401
    assert phone.get("/billing").status_code == 200


def test_a_token_that_has_ended_opens_nothing_while_another_request_renews_it(
    client: FlaskClient, ada: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client)
    monkeypatch.setattr(sessions, "WAIT_SECONDS", 0)
    renewing = "update billing.member_sessions set refreshing_until = now() + interval '1 minute' returning 1"
    for seconds, status in ((30, 200), (-1, 503)):
        age(database, seconds)
        rows(database, renewing)
        assert client.get("/billing").status_code == status


def test_another_secret_key_signs_everybody_out_without_a_fault(
    client: FlaskClient, ada: str, database: Database
) -> None:
    sign_in(client)
    rows(database, "update billing.member_sessions set tokens = 'x', token_expires_at = now() returning 1")
    assert client.get("/billing").status_code == 401


def test_after_fourteen_days_it_has_ended(client: FlaskClient, ada: str, database: Database) -> None:
    sign_in(client)
    ((days,),) = rows(database, "select extract(day from expires_at - now()) from billing.member_sessions")
    assert days == 13
    rows(database, "update billing.member_sessions set expires_at = now() returning 1")
    assert client.get("/billing").status_code == 401
    sign_in(client)
    assert len(rows(database, "select 1 from billing.member_sessions")) == 1


def test_86_the_api_takes_no_cookie(client: FlaskClient, ada: str, ledger: Ledger) -> None:
    """So no other site can make a browser that is signed in here call it."""
    sign_in(client)
    assert client.get("/billing").status_code == 200
    for method, path in (
        ("GET", "/api/me"),
        ("PUT", "/api/billing/auto-topup"),
        ("POST", "/api/billing/portal-sessions"),
    ):
        assert client.open(path, method=method, json={"enabled": False}).status_code == 401
