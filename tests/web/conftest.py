"""An app over a real database and Redis, API keys, signed webhooks, and what a refusal must not change."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared import db, keys
from shared import queue as queues
from shared.ledger import Ledger
from shared.models import Payment
from shared.settings import Settings
from tests.support import Database
from web import create_app

SECRET = "whsec_web_tests"
ALL_SCOPES = ["accounts", "spend", "usage", "price", "read", "admin"]
MONEY_TABLES = (
    "accounts", "account_members", "customers", "credit_balances", "credit_lots", "credit_transactions",
    "credit_usage_keys", "credit_usage", "parked_usage", "payments", "payment_methods", "auto_topup_settings",
    "auto_topup_consents",
    "topups", "stripe_events", "outbox", "audit_log",
    "credit_holds", "credit_hold_draws", "credit_limits", "agent_action_costs",
    "notice_deliveries", "notice_preferences", "webhook_endpoints", "adjustments",
    "invitations",
)  # fmt: skip


@dataclass
class FakeGateway:
    """Stripe as far as web needs it; keeps what was asked."""

    sessions: list[tuple[Payment, dict[str, Any]]] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)

    def ensure_customer(self, account_id: str, *_more: object, **_options: object) -> str:
        self.customers.append(account_id)
        return f"cus_{account_id}"

    def create_checkout_session(self, payment: Payment, **more: Any) -> dict[str, Any]:
        self.sessions.append((payment, more))
        return {"id": f"cs_{payment['id']}", "url": f"https://checkout.stripe.com/c/{payment['id']}"}


def make_settings(dsn: str, redis_url: str, **more: Any) -> Settings:
    """Settings of environment test, without looking at the environment."""
    values = {
        "REFILL_ENV": "test",
        "SECRET_KEY": "a-secret-for-tests-only",
        "DATABASE_URL": dsn,
        "REDIS_URL": redis_url,
        "STRIPE_SECRET_KEY": "sk_test_web",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "SIGNUP_CREDITS": "100",
    }
    return Settings(**(values | more))


@pytest.fixture
def settings(dsn: str, redis_url: str) -> Settings:
    return make_settings(dsn, redis_url)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    database = db.connect(settings, pool_size=20)
    yield Ledger(database)
    database.close()


@pytest.fixture
def queue(settings: Settings) -> Iterator[queues.Queue]:
    broker = queues.make_broker(settings, timeout_seconds=2)
    yield queues.Queue(broker)
    broker.close()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def app(settings: Settings, ledger: Ledger, queue: queues.Queue, gateway: FakeGateway) -> Flask:
    return create_app(settings, ledger=ledger, queue=queue, gateway=gateway)  # type: ignore[arg-type]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


KeyMaker = Callable[..., dict[str, str]]


@pytest.fixture
def key(ledger: Ledger) -> KeyMaker:
    """Makes an API key and answers the headers that carry it."""

    def make(scopes: list[str] | None = None, account_id: str | None = None) -> dict[str, str]:
        secret, prefix = keys.new_api_key()
        ledger.create_api_key(
            keys.new_id("key"), "tests", prefix, keys.api_key_hash(secret), scopes or ALL_SCOPES, account_id
        )
        return {"Authorization": f"Bearer {secret}"}

    return make


@pytest.fixture
def acme(ledger: Ledger) -> str:
    """An account with 100 credits."""
    ledger.open_account("acme", "Acme", "billing@acme.example", None, 100_000_000, "tests")
    ledger.set_action_cost({"action": "chat", "credits": 2_500_000}, "tests")
    return "acme"


Counts = Callable[[], dict[str, int]]


@pytest.fixture
def money(database: Database) -> Counts:
    """Everything in the tables of money, to be compared before and after a refusal."""

    def read() -> dict[str, int]:
        with database.connect() as connection:
            return {table: _digest(connection, table) for table in MONEY_TABLES}

    return read


def _digest(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(
        f"select coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) + count(*) from billing.{table} t"
        # Keys that the test makes for its own calls are not what it looks for.
        + (" where action not like 'api_key.%'" if table == "audit_log" else "")
    ).fetchone()
    assert row is not None
    return int(row[0])


def signature(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """A Stripe-Signature header."""
    stamp = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def event(event_id: str = "evt_1", **more: Any) -> bytes:
    """A Stripe event."""
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": "payment_intent.succeeded",
            "api_version": "2026-10-28.endive",
            "created": 1_795_000_000,
            "livemode": False,
            "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
        }
        | more
    ).encode()
