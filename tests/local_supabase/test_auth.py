"""The local Supabase Auth through supabase-py itself: what a project answers, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from supabase_auth import SyncMemoryStorage
from supabase_auth.errors import AuthApiError, AuthRetryableError
from supabase_auth.types import Session

from local.supabase import auth as local_auth
from local.supabase.app import LocalSupabase
from supabase import Client, ClientOptions, create_client
from tests.support import free_port

SITE = "http://localhost:8000"
BACK = f"{SITE}/sign-in/callback?state=s"
EMAIL, PASSWORD = "ada@example.com", "correct horse"


@pytest.fixture
def server() -> Iterator[LocalSupabase]:
    with LocalSupabase.start(site_url=SITE) as server:
        server.auth.create_user(EMAIL, PASSWORD)
        yield server


@pytest.fixture
def client(server: LocalSupabase) -> Client:
    return connect(server)


def connect(server: LocalSupabase, key: str | None = None) -> Client:
    options = ClientOptions(auto_refresh_token=False, persist_session=False, flow_type="pkce")
    options.storage = SyncMemoryStorage()
    return create_client(server.url, key or server.publishable_key, options)


def sign_in(client: Client) -> Session:
    session = client.auth.sign_in_with_password({"email": EMAIL, "password": PASSWORD}).session
    assert session is not None
    return session


def open_link(url: str) -> dict[str, str]:
    """Where a browser is sent, as the fields of its address."""
    answer = httpx.get(url)
    assert answer.status_code in (302, 303)
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}" == SITE
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def test_password_gives_a_token_that_the_key_set_proves(server: LocalSupabase, client: Client) -> None:
    session = sign_in(client)
    keys = jwt.PyJWKClient(f"{server.url}/auth/v1/.well-known/jwks.json")
    claims = jwt.decode(
        session.access_token,
        keys.get_signing_key_from_jwt(session.access_token),
        algorithms=["ES256"],
        audience="authenticated",
        issuer=f"{server.url}/auth/v1",
    )
    assert (claims["sub"], claims["email"], claims["role"]) == (session.user.id, EMAIL, "authenticated")
    assert claims["amr"][0]["method"] == "password"
    found = client.auth.get_user(session.access_token)
    assert found is not None
    assert found.user.email == EMAIL
    checked = client.auth.get_claims(session.access_token)
    assert checked is not None
    assert checked["claims"]["session_id"] == claims["session_id"]


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD)])
def test_wrong_password_and_unknown_user_are_refused_alike(client: Client, email: str, password: str) -> None:
    with pytest.raises(AuthApiError, match="Invalid login credentials") as refusal:
        client.auth.sign_in_with_password({"email": email, "password": password})
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_credentials")


def test_refresh_tokens_rotate_and_a_stolen_one_ends_the_session(
    server: LocalSupabase, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sign_in(client).refresh_token
    second = client.auth.refresh_session(first).session
    assert second is not None
    assert second.refresh_token != first
    # The answer got lost and is asked for again: the same successor.
    again = client.auth.refresh_session(first).session
    assert again is not None
    assert again.refresh_token == second.refresh_token
    third = client.auth.refresh_session(second.refresh_token).session
    assert third is not None
    monkeypatch.setattr(local_auth, "REUSE_SECONDS", -1)
    with pytest.raises(AuthApiError, match="Already Used"):
        client.auth.refresh_session(first)
    for token in (third.refresh_token, "unknown"):
        with pytest.raises(AuthApiError, match="Not Found") as refusal:
            client.auth.refresh_session(token)
        assert refusal.value.code == "refresh_token_not_found"


def test_magic_link_needs_the_verifier_of_whoever_asked(server: LocalSupabase, client: Client) -> None:
    client.auth.sign_in_with_otp(
        {"email": EMAIL, "options": {"email_redirect_to": BACK, "should_create_user": False}}
    )
    mail = server.auth.mails[-1]
    assert mail["to"] == EMAIL
    given = open_link(mail["url"])
    assert given["state"] == "s"
    with pytest.raises(AuthApiError, match="code challenge does not match"):
        connect(server).auth.exchange_code_for_session(
            {"auth_code": given["code"], "code_verifier": "x" * 50, "redirect_to": ""}
        )
    session = client.auth.exchange_code_for_session(
        {"auth_code": given["code"], "code_verifier": "", "redirect_to": ""}
    ).session
    assert session is not None
    assert session.user.email == EMAIL
    with pytest.raises(AuthApiError, match="no valid flow state") as refusal:
        client.auth.exchange_code_for_session(
            {"auth_code": given["code"], "code_verifier": "x" * 50, "redirect_to": ""}
        )
    assert (refusal.value.status, refusal.value.code) == (404, "flow_state_not_found")
    assert open_link(mail["url"])["error_code"] == "otp_expired"


def test_no_link_for_somebody_unknown(server: LocalSupabase, client: Client) -> None:
    with pytest.raises(AuthApiError, match="Signups not allowed") as refusal:
        client.auth.sign_in_with_otp({"email": "x@example.com", "options": {"should_create_user": False}})
    assert (refusal.value.status, refusal.value.code) == (422, "otp_disabled")
    assert server.auth.mails == []


def test_six_digits_of_the_mail_sign_in_once(server: LocalSupabase, client: Client) -> None:
    client.auth.sign_in_with_otp({"email": EMAIL, "options": {"should_create_user": False}})
    digits = server.auth.mails[-1]["code"]
    assert client.auth.verify_otp({"email": EMAIL, "token": digits, "type": "email"}).session is not None
    with pytest.raises(AuthApiError) as refusal:
        client.auth.verify_otp({"email": EMAIL, "token": digits, "type": "email"})
    assert refusal.value.code == "otp_expired"


def test_oauth_is_one_click_and_comes_back_with_a_code(server: LocalSupabase, client: Client) -> None:
    url = client.auth.sign_in_with_oauth({"provider": "github", "options": {"redirect_to": BACK}}).url
    page = httpx.get(url).text
    click = page.split('href="')[1].split('"')[0].replace("&amp;", "&")
    assert EMAIL in page
    given = open_link(server.url + click)
    session = client.auth.exchange_code_for_session(
        {"auth_code": given["code"], "code_verifier": "", "redirect_to": ""}
    ).session
    assert session is not None
    assert session.user.email == EMAIL
    unknown = client.auth.sign_in_with_oauth({"provider": "azure", "options": {"redirect_to": BACK}}).url
    assert httpx.get(unknown).status_code == 400


def test_redirects_lead_to_the_site_only(server: LocalSupabase, client: Client) -> None:
    evil = "https://evil.example/"
    client.auth.sign_in_with_otp({"email": EMAIL, "options": {"email_redirect_to": evil}})
    assert "code" in open_link(server.auth.mails[-1]["url"])


@pytest.mark.parametrize("scope", ["local", "others", "global"])
def test_signing_out_ends_sessions_by_scope(server: LocalSupabase, client: Client, scope: str) -> None:
    here, there = sign_in(client), sign_in(connect(server))
    client.auth.admin.sign_out(here.access_token, scope)  # type: ignore[arg-type]
    ended = {"local": [here], "others": [there], "global": [here, there]}[scope]
    for session in (here, there):
        if session in ended:
            with pytest.raises(AuthApiError):
                connect(server).auth.refresh_session(session.refresh_token)
        else:
            assert connect(server).auth.refresh_session(session.refresh_token).session is not None


def test_without_a_key_nothing_is_answered_and_users_need_the_secret_one(server: LocalSupabase) -> None:
    assert httpx.post(f"{server.url}/auth/v1/token?grant_type=password", json={}).status_code == 401
    with pytest.raises(AuthApiError):
        connect(server).auth.admin.create_user({"email": "b@example.com"})
    made = connect(server, server.secret_key).auth.admin.create_user(
        {"email": "b@example.com", "password": "p"}
    )
    assert made.user.email == "b@example.com"
    with pytest.raises(AuthApiError, match="already been registered"):
        connect(server, server.secret_key).auth.admin.create_user({"email": "B@example.com"})


def test_an_outage_is_an_error_that_may_be_repeated(server: LocalSupabase, client: Client) -> None:
    server.away = True
    with pytest.raises(AuthRetryableError):
        sign_in(client)


def test_as_a_process_it_keeps_users_keys_and_sessions(tmp_path: Path) -> None:
    port, state = free_port(), tmp_path / "auth.json"
    key = "sb_publishable_test"
    command = [sys.executable, "-m", "local.supabase", f"--port={port}", f"--state={state}",
               f"--publishable-key={key}", "--secret-key=sb_secret_test", f"--site-url={SITE}"]  # fmt: skip
    refresh = ""
    for turn in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert "Local Supabase Auth on" in process.stdout.readline()
            options = ClientOptions(auto_refresh_token=False, persist_session=False)
            url = f"http://127.0.0.1:{port}"
            if turn == 0:
                create_client(url, "sb_secret_test").auth.admin.create_user(
                    {"email": EMAIL, "password": PASSWORD}
                )
                refresh = sign_in(create_client(url, key, options)).refresh_token
            else:
                assert create_client(url, key, options).auth.refresh_session(refresh).session is not None
        finally:
            process.terminate()
            assert process.wait(10) == 0
    assert state.stat().st_mode & 0o077 == 0
    assert time.time() - state.stat().st_mtime < 60
