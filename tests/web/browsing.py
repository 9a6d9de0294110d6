"""A person's browser at the pages, and the local Supabase Auth behind them."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from local.supabase.app import LocalSupabase
from shared.settings import Settings
from tests.support import Database
from tests.web.conftest import make_settings

SITE = "http://localhost:8000"
OPERATOR = "00000000-0000-4000-8000-0000000000a1"
SECOND_OPERATOR = "00000000-0000-4000-8000-0000000000a2"
EMAIL, PASSWORD = "ada@example.com", "correct horse"


def settings_with(supabase: LocalSupabase, dsn: str, redis_url: str) -> Settings:
    return make_settings(
        dsn,
        redis_url,
        BASE_URL=SITE,
        SUPABASE_URL=supabase.url,
        SUPABASE_PUBLISHABLE_KEY=supabase.publishable_key,
        SUPABASE_OAUTH_PROVIDERS="github, google",
        OPERATORS=f"{OPERATOR}, {SECOND_OPERATOR}",
    )


def token_of(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def sign_in(client: FlaskClient, password: str = PASSWORD, **more: str) -> TestResponse:
    form = {"email": EMAIL, "password": password, "csrf_token": token_of(client.get("/sign-in").text)}
    return client.post("/sign-in", data=form | more)


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("refill")
    assert found is not None
    return found.value


def decoded(value: str) -> str:
    """What anybody who has the cookie can read of it."""
    packed, content = value.startswith("."), value.lstrip(".").split(".")[0]
    raw = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
    return (zlib.decompress(raw) if packed else raw).decode()


def rows(database: Database, statement: str) -> list[Any]:
    with database.connect() as connection:
        return connection.execute(statement.encode()).fetchall()


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def ask_for_link(client: FlaskClient, email: str = EMAIL, **more: str) -> TestResponse:
    form = {"email": email, "csrf_token": token_of(client.get("/sign-in").text)} | more
    return client.post("/sign-in/link", data=form)


def follow(url: str) -> str:
    """Where Supabase sends the browser back to, as a path."""
    location = httpx.get(url).headers["Location"]
    assert location.startswith(f"{SITE}/sign-in/callback?")
    return str(location.removeprefix(SITE))
