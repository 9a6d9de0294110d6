"""What an idle installation costs, and how long a charge rests whose worker was killed in the middle of it."""

from __future__ import annotations

import itertools
import time

import psutil
from redis import Redis

from bench.charge import Shop, payments_worker
from bench.harness import Recorder
from bench.http import await_true
from local.embedded import Guarded
from local.stack import Stack

CREATE = "/v1/payment_intents"
STUCK_SECONDS = 600.0
RECOVERED_SECONDS = 180.0
IDLE_SECONDS = 10.0
MEGABYTE = 2**20


def run(stack: Stack, recorder: Recorder) -> None:
    """Idle calls and memory first, then one kill a round."""
    _idle(stack, recorder)
    shop = Shop(stack)
    rounds = itertools.count(1)
    samples = recorder.alternate("kill_recovery (s)", {"kill -9": lambda: _killed(stack, shop, next(rounds))})
    recorder.keep("kill_recovery_s", samples["kill -9"])


def _killed(stack: Stack, shop: Shop, number: int) -> float:
    """Seconds from the kill until another worker asks Stripe for the same charge."""
    account = shop.account()
    shop.control.do("slow", path=CREATE, seconds=STUCK_SECONDS)
    with payments_worker(stack, f"payments-killed-{number}") as first:
        before = len(_asked(shop))
        shop.debit(account)
        await_true(lambda: len(_asked(shop)) > before, "a charge in flight")
        shop.control.do("slow", path=CREATE, seconds=0)
        with payments_worker(stack, f"payments-other-{number}"):
            before = len(_asked(shop))
            first.kill()
            start = time.time()
            await_true(lambda: len(_asked(shop)) > before, "a charge taken up again", RECOVERED_SECONDS)
            return _asked(shop)[-1] - start


def _asked(shop: Shop) -> list[float]:
    """When each request for a PaymentIntent arrived."""
    return [request["at"] for request in shop.control.look("requests", method="POST", path=CREATE)]


def _idle(stack: Stack, recorder: Recorder) -> None:
    seconds = 2.0 if recorder.small else IDLE_SECONDS
    with (
        payments_worker(stack, "payments-idle") as payments,
        Redis.from_url(stack.services.redis.url) as redis,
    ):
        time.sleep(2)  # the start is over

        def calls() -> float:
            return _calls(redis, seconds)

        samples = recorder.alternate("idle (calls of Redis a second)", {"idle": calls}, rounds=3)
        recorder.keep("idle_redis_calls_per_s", samples["idle"])
        recorder.keep("rss_mb.web", [megabytes(stack.programs["web"].process)])
        recorder.keep("rss_mb.worker", [megabytes(stack.programs["worker"].process)])
        recorder.keep("rss_mb.payments", [megabytes(payments)])


def _calls(redis: Redis, seconds: float) -> float:
    """Commands of clients a second; what their scripts call inside Redis is part of the one call."""
    count, until = 0, time.monotonic() + seconds
    with redis.monitor() as monitor:  # type: ignore[no-untyped-call]
        while time.monotonic() < until:
            if monitor.connection.can_read(timeout=0.1):
                count += monitor.next_command()["client_type"] != "lua"
    return count / seconds


def megabytes(program: Guarded | None) -> float:
    """Resident memory of a program and the processes that it started; what they share counts in each."""
    if program is None:
        return 0.0
    process = psutil.Process(program.pid)
    return float(sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])) / MEGABYTE
