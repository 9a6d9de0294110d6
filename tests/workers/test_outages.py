"""Real worker processes while the database fails: usage on the queue is kept, whatever it fails with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from local.embedded import Postgres
from shared import queue
from shared.db import PostgresDatabase
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Proc, free_port, wait_until

CREDIT = 1_000_000
DELAYED = "dramatiq:usage.DQ.msgs"


class Place:
    """A database of its own, a queue, and what a worker needs to know of both."""

    def __init__(self, server: Postgres, redis_url: str) -> None:
        self.server = server
        self.env = {
            "REFILL_ENV": "test",
            "SECRET_KEY": "0123456789abcdef",
            "DATABASE_URL": server.url,
            "REDIS_URL": redis_url,
            "STRIPE_SECRET_KEY": "sk_test_123",
            "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
            "STRIPE_WEBHOOK_SECRET": "whsec_test",
        }
        self.redis = Redis.from_url(redis_url)
        seam = PostgresDatabase(server.url)
        Ledger(seam).open_account("a", "A", None, None, 100 * CREDIT, "test")
        seam.close()

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def balance(self) -> float:
        return float(self.ask("select balance from billing.credit_balances")[0][0] / CREDIT)

    @property
    def tries(self) -> int:
        """How often the message that was tried most often has failed."""
        found: dict[bytes, bytes] = self.redis.hgetall(DELAYED)  # type: ignore[assignment]
        return max((json.loads(data)["options"].get("retries", 0) for data in found.values()), default=0)

    @property
    def dead(self) -> int:
        return int(self.redis.zcard("dramatiq:usage.XQ"))  # type: ignore[arg-type]


@pytest.fixture
def place(own_postgres: Postgres, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(own_postgres, redis_url)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    yield made
    made.redis.close()


def trigger(sqlstate: str) -> tuple[list[str], list[str]]:
    """How each booking is made to fail, and how it is put right."""
    body = f"begin raise exception using errcode = '{sqlstate}'; end"
    return [
        f"create function billing.probe() returns trigger language plpgsql as $$ {body} $$",
        "create trigger probe before insert on billing.credit_usage_keys for each row execute function billing.probe()",
    ], ["drop trigger probe on billing.credit_usage_keys"]


READ_ONLY = "alter system set default_transaction_read_only ="
RECORD_USAGE = "alter function billing.record_usage(jsonb, text, boolean) rename to former"
FAILING = {
    "read-only": (
        [f"{READ_ONLY} on", "select pg_reload_conf()"],
        [f"{READ_ONLY} off", "select pg_reload_conf()"],
    ),
    "function missing": (
        [RECORD_USAGE],
        ["alter function billing.former(jsonb, text, boolean) rename to record_usage"],
    ),
    "no right": trigger("42501"),
    "I/O error": trigger("58030"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(FAILING))
def test_usage_on_the_queue_outlives_the_database_and_a_worker_that_is_killed_meanwhile(
    place: Place, tmp_path: Path, what: str
) -> None:
    breaking, healing = FAILING[what]
    sender = queue.Queue(queue.make_broker(Settings(), timeout_seconds=5))
    first = tmp_path / "first.log"
    with Proc("workers", "worker", env=place.env, log=first) as worker:
        worker.wait_for_line(r'"message": "ready"')
        for statement in breaking:
            place.ask(statement)
        for number in range(10):
            sender.enqueue(
                queue.RECORD_USAGE,
                [{"id": f"u{number}.{k}", "account_id": "a", "amount": "1"} for k in (1, 2)],
            )
        # It was given up after three.
        wait_until(lambda: place.tries >= 4, 60, "the fifth try")
        worker.kill()
    said = [
        line for line in first.read_text().splitlines() if '"message": "the database failed a call"' in line
    ]
    assert len(said) == 1, "one line an outage"
    assert "unhandled exception" not in first.read_text()
    assert (place.balance, place.dead) == (100, 0)
    with Proc("workers", "worker", env=place.env, log=tmp_path / "second.log"):
        for statement in healing:
            place.ask(statement)
        wait_until(lambda: place.balance == 80, 60, "everything to be booked")
        assert place.dead == 0
    sender.broker.close()
