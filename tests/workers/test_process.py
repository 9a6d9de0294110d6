"""Real worker processes: they wait for what is away, work, survive poison, and stop when told to."""

from __future__ import annotations

import gzip
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dramatiq
import pytest
from redis import Redis as RedisClient

from local.embedded import Redis
from shared import queue
from shared.settings import Settings
from tests.support import Proc, free_port, wait_until
from tests.workers.world import ACCOUNT, World


@pytest.fixture
def env(dsn: str, redis_url: str) -> dict[str, str]:
    return {
        "REFILL_ENV": "test",
        "SECRET_KEY": "0123456789abcdef",
        "DATABASE_URL": dsn,
        "REDIS_URL": redis_url,
        "STRIPE_SECRET_KEY": "sk_test_123",
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
        "STRIPE_WEBHOOK_SECRET": "whsec_test",
    }


@pytest.fixture
def sender(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[queue.Queue]:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    made = queue.Queue(queue.make_broker(Settings(), timeout_seconds=5))
    yield made
    made.broker.close()


def test_worker_books_usage_from_the_queue_and_stops_on_sigterm(
    world: World, env: dict[str, str], sender: queue.Queue, tmp_path: Path
) -> None:
    with Proc("workers", "all", env=env, log=tmp_path / "worker.log") as worker:
        worker.wait_for_line(r'"message": "ready"')
        sender.enqueue(queue.RECORD_USAGE, [{"id": "u1", "account_id": ACCOUNT, "amount": "1"}])
        wait_until(lambda: world.balance == 99, 10)
        assert worker.terminate() == 0
        assert '"message": "stopped"' in worker.output


def test_overlapping_batches_from_the_queue_book_each_event_once(
    world: World, env: dict[str, str], sender: queue.Queue, tmp_path: Path
) -> None:
    """Ten thousand events in forty messages, each batch twice, half of it in the next one, with conflicts and news."""
    events = [{"id": f"u{n}", "account_id": ACCOUNT, "amount": "0.001"} for n in range(10_000)]
    odd = [{**events[0], "amount": "5"}, {"id": "new", "account_id": ACCOUNT, "action": "unheard_of"}]
    for start in range(0, 10_000, 500):
        batch = events[start : start + 1_000] + events[start : start + 10]
        for _ in range(2):
            sender.enqueue(queue.RECORD_USAGE, [*batch, *odd] if start == 5_000 else batch)
    with Proc("workers", "worker", env=env, log=tmp_path / "worker.log") as worker:
        sender.enqueue(queue.RECORD_USAGE, {"id": "last", "account_id": ACCOUNT, "amount": "1"})
        wait_until(lambda: sender.broker.client.hlen("dramatiq:usage.msgs") == 0, 60)  # type: ignore[attr-defined]
        assert worker.terminate() == 0
    assert world.balance == 89
    assert world.query("select count(*) as n from billing.credit_usage") == [{"n": 10_001}]
    codes = world.query("select code, count(*) as n from billing.parked_usage group by code order by code")
    assert codes == [{"code": "idempotency_conflict", "n": 2}, {"code": "unknown_action", "n": 1}]
    world.assert_sound()


def test_undecodable_message_stops_no_other(
    world: World, env: dict[str, str], sender: queue.Queue, tmp_path: Path
) -> None:
    """No. 65: in front of good ones, before the worker comes up."""
    client = RedisClient.from_url(env["REDIS_URL"])
    poison = {"a": b"{", "b": b"[]", "c": b"\xff", "d": b'{"options": {"redis_message_id": "d"}}'}
    for name, body in poison.items():
        client.hset("dramatiq:usage.msgs", name, body)
        client.rpush("dramatiq:usage", name)
    for number in range(3):
        sender.enqueue(queue.RECORD_USAGE, {"id": f"u{number}", "account_id": ACCOUNT, "amount": "1"})
    with Proc("workers", "worker", env=env, log=tmp_path / "worker.log") as worker:
        wait_until(lambda: world.balance == 97, 15)
        assert len(re.findall("undecodable message", worker.output)) == len(poison)
    client.close()


@pytest.mark.slow
def test_messages_that_were_handed_out_come_back_after_redis_was_away(
    world: World, env: dict[str, str], own_redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No. 63: the worker lives on, and forgets what it had fetched for later."""
    monkeypatch.setenv("REDIS_URL", own_redis.url)
    env["REDIS_URL"] = own_redis.url
    broker = queue.make_broker(Settings(), timeout_seconds=5)
    client = RedisClient.from_url(own_redis.url)
    with Proc("workers", "worker", env=env, log=tmp_path / "worker.log") as worker:
        worker.wait_for_line(r'"message": "ready"')
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=queue.USAGE,
            actor_name=queue.RECORD_USAGE,
            args=({"id": "u1", "account_id": ACCOUNT, "amount": "1"},),
            kwargs={},
            options={},
        )
        broker.enqueue(message, delay=5_000)
        wait_until(lambda: list(client.scan_iter("dramatiq:__acks__*")), 10)
        own_redis.stop()
        own_redis.start()
        wait_until(lambda: world.balance == 99, 60)
        assert "connection to the queue renewed" in worker.output
    broker.close()
    client.close()


def test_errors_reach_sentry_without_secrets(
    world: World, env: dict[str, str], sender: queue.Queue, tmp_path: Path
) -> None:
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, args=(0.01,), daemon=True).start()
        env["SENTRY_DSN"] = f"http://key@127.0.0.1:{collector.server_port}/1"
        with Proc("workers", "worker", env=env, log=tmp_path / "worker.log") as worker:
            sender.enqueue(queue.RECORD_USAGE, {"id": "sk_test_abcdefgh", "account_id": ACCOUNT})
            wait_until(lambda: any(b"usage rejected" in body for body in bodies), 15)
            worker.terminate()
        collector.shutdown()
    joined = b"".join(bodies)
    assert b'"fingerprint":["record_usage"' in joined.replace(b" ", b"")
    assert b"sk_test_abcdefgh" not in joined


def test_worker_waits_for_redis_and_says_so(
    world: World, env: dict[str, str], own_redis: Redis, tmp_path: Path
) -> None:
    env["REDIS_URL"] = own_redis.url
    own_redis.stop()
    with Proc("workers", "payments", env=env, log=tmp_path / "worker.log") as worker:
        worker.wait_for_line("waiting for the queue")
        own_redis.start()
        worker.wait_for_line(r'"message": "ready"')
        assert worker.terminate() == 0


def test_worker_stops_while_it_waits(env: dict[str, str], tmp_path: Path) -> None:
    env["DATABASE_URL"] = f"postgresql://127.0.0.1:{free_port()}/none"
    with Proc("workers", "payments", env=env, log=tmp_path / "worker.log") as worker:
        worker.wait_for_line("waiting for the database", 60)
        worker.signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_wrong_settings_are_one_sentence(env: dict[str, str], tmp_path: Path) -> None:
    del env["STRIPE_SECRET_KEY"]
    with Proc("workers", "payments", env=env, log=tmp_path / "worker.log") as worker:
        assert worker.wait(30) == 2
        assert "STRIPE_SECRET_KEY" in worker.output
        assert "Traceback" not in worker.output


def test_scheduler_and_worker_sweep_without_any_message(
    world: World, env: dict[str, str], tmp_path: Path
) -> None:
    """No. 62: the account is found by its row."""
    world.spend(90)
    with (
        Proc("workers", "all", env=env, log=tmp_path / "worker.log") as worker,
        Proc("workers.scheduler", env=env, log=tmp_path / "scheduler.log") as scheduler,
    ):
        wait_until(lambda: len(world.topups) == 1, 60)
        assert scheduler.terminate() == 0
        worker.kill()
    assert world.topup["state"] == "open"


def test_scheduler_and_worker_give_back_an_expired_hold_within_two_minutes(
    world: World, env: dict[str, str], tmp_path: Path
) -> None:
    world.ledger.place_hold(ACCOUNT, {"id": "run", "amount": 50_000_000, "expires_in": 1})
    with (
        Proc("workers", "all", env=env, log=tmp_path / "worker.log"),
        Proc("workers.scheduler", env=env, log=tmp_path / "scheduler.log"),
    ):
        wait_until(lambda: world.ledger.get_balance(ACCOUNT)["held"] == 0, 120)
    assert world.ledger.get_hold(ACCOUNT, "run")["state"] == "expired"
