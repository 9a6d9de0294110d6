"""A world per test: see tests/workers/world.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.settings import Settings
from tests.support import Database
from tests.workers.world import World, make_world


@pytest.fixture
def settings(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {
        "REFILL_ENV": "test",
        "SECRET_KEY": "0123456789abcdef",
        "DATABASE_URL": dsn,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "STRIPE_SECRET_KEY": "sk_test_123",
        "STRIPE_WEBHOOK_SECRET": "whsec_test",
    }.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def world(database: Database, settings: Settings) -> Iterator[World]:
    made = make_world(database, settings)
    yield made
    made.app.ledger.database.close()
    made.connection.close()
