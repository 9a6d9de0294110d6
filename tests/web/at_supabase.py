"""Fixtures of an app whose people sign in at the local Supabase Auth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.browsing import EMAIL, PASSWORD, SITE, settings_with


@pytest.fixture
def supabase() -> Iterator[LocalSupabase]:
    with LocalSupabase.start(site_url=SITE) as server:
        yield server


@pytest.fixture
def settings(dsn: str, redis_url: str, supabase: LocalSupabase) -> Settings:
    return settings_with(supabase, dsn, redis_url)


@pytest.fixture
def ada(supabase: LocalSupabase, ledger: Ledger, acme: str) -> str:
    """A person who owns acme."""
    user_id = str(supabase.auth.create_user(EMAIL, PASSWORD)["id"])
    ledger.set_member(acme, user_id, "owner", "tests")
    return user_id
