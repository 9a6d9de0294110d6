"""A whole Refill of real processes, and accounts on it. Crash tests kill parts of it; they put them back."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Self

import httpx
import psycopg
from redis import Redis

from local.embedded import EmbeddedError, Guarded
from local.scene import THRESHOLD, Place, Scene
from local.stack import Stack
from shared import db, queue
from shared.ledger import Ledger
from tests.support import wait_until

SIGNUP = 50
BOUGHT = 100
STRAGGLER_SECONDS = 5
"""Longer than any fault of these tests holds a request that is executed in the end."""
_numbers = itertools.count(1)


class World(Scene):
    """One stack, its local Stripe, and what looks at it from outside."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, "flow")
        self.redis = Redis.from_url(stack.settings["REDIS_URL"])
        self.queue = queue.Queue(queue.make_broker(self.settings, timeout_seconds=2))

    def close(self) -> None:
        self.queue.broker.close()
        self.redis.close()
        super().close()

    def reconnect(self) -> None:
        """After the database was replaced under the same name."""
        self.ledger.database.close()
        self.ledger = Ledger(db.connect(self.settings, pool_size=2))

    def answers(self) -> bool:
        """Whether web answers."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.stack.url}/healthz").status_code == 200
        return False

    @contextmanager
    def holding(self, statement: str, *values: object) -> Iterator[None]:
        """Row locks, as long as the block lasts."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement, values)
            yield
            connection.rollback()

    def await_lock_wait(self) -> None:
        """Wait until one of Refill's connections waits for a lock."""
        waiting = (
            "select 1 from pg_stat_activity where application_name = 'refill' and wait_event_type = 'Lock'"
        )
        wait_until(lambda: self.query(waiting), 10, "somebody to wait for the lock")

    def await_request(self, path: str, method: str = "POST", *, after: int = 0) -> None:
        """Wait until the local Stripe has got more than `after` such requests."""
        wait_until(lambda: self.requests(path, method) > after, 10, f"{method} {path} at the local Stripe")

    def requests(self, path: str, method: str = "POST") -> int:
        return len(self.stripe.look("requests", method=method, path=path))

    def await_stragglers(self) -> None:
        """Wait until the local Stripe is through with every request that may still take effect."""

        def done() -> bool:
            hanging = [request for request in self.stripe.look("requests") if request["status"] is None]
            return all(request["at"] < time.time() - STRAGGLER_SECONDS for request in hanging)

        wait_until(done, 10)

    def process(self, name: str) -> Guarded:
        process = self.stack.programs[name].process
        assert process is not None
        return process

    def kill(self, name: str) -> None:
        """Kill -9, and nobody starts it again."""
        self.process(name).kill()

    def restart(self, name: str) -> None:
        """Start a program that was killed and wait until it works."""
        program = self.stack.programs[name]
        ready = program.log.read_text().count('"message": "ready"')
        program.start()
        wait_until(lambda: program.log.read_text().count('"message": "ready"') > ready, 20, f"{name} to work")

    def sweep(self, account: Account | None = None) -> None:
        """Let what waits for a later time be due now, and send what the scheduler sends every half minute."""
        if account is not None:
            self.query("update billing.topups set next_attempt_at = now() where account_id = %s", account.id)
            self.query(
                "update billing.payments set next_check_at = now() where account_id = %s"
                " and status in ('open', 'processing')",
                account.id,
            )
        self.query("update billing.stripe_events set next_attempt_at = now() where state = 'received'")
        self.queue.enqueue(queue.SWEEP)

    def account(self, *, topup: bool = True) -> Account:
        """An account with a bought package, a saved card and, unless said otherwise, auto top-up."""
        account = Account(self, f"flow-{os.getpid()}-{next(_numbers)}")
        account.api.open_account("Flow", "flow@example.com")
        account.pay(account.checkout())
        account.await_balance(SIGNUP + BOUGHT)
        if topup:
            account.enable_topup()
        return account

    def assert_sound(self) -> None:
        """The books hold, and the local Stripe was asked for nothing odd."""
        assert self.ledger.check_invariants() == []
        assert self.stripe.look("violations") == []


class Account(Place):
    """One account, what tests ask about it and wait for."""

    world: World

    def grants(self, kind: str) -> int:
        found = self.world.query(
            "select count(*) as n from billing.credit_lots where account_id = %s and kind = %s", self.id, kind
        )
        return int(found[0]["n"])

    def cross_threshold(self) -> None:
        """From the start's 150 credits to the threshold's 50."""
        assert self.spend(SIGNUP + BOUGHT - THRESHOLD).status_code == 200

    def await_balance(self, wanted: int | Decimal, timeout: float = 12, *, sweep: bool = False) -> None:
        """Wait for a balance; `sweep` turns the clock of what waits, every second."""
        swept = time.monotonic()

        def reached() -> bool:
            nonlocal swept
            if sweep and time.monotonic() - swept > 1:
                swept = time.monotonic()
                self.world.sweep(self)
            # Also a 503: the database may have been away just now.
            with contextlib.suppress(httpx.HTTPError, EmbeddedError):
                return self.balance == wanted
            return False

        wait_until(reached, timeout, f"a balance of {wanted}", interval=0.05)

    def assert_charged_once(self) -> None:
        """One purchase and one top-up, at the local Stripe and in the books."""
        self.assert_charges(2)
        assert self.grants("topup") == 1
        assert [row["state"] for row in self.topups].count("succeeded") == 1

    def assert_charges(self, number: int) -> None:
        charges = self.world.stripe.look("charges", customer=self.customer)
        assert charges["succeeded"] == number
        self.world.assert_sound()


class Load:
    """Spends from several threads, each repeated under its id until it is answered."""

    def __init__(self, account: Account, threads: int = 4) -> None:
        self.account = account
        self.booked: set[str] = set()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(threads)]

    def _work(self, thread: int) -> None:
        for number in itertools.count():
            if self._stopping.is_set():
                return
            self._spend(f"load-{thread}-{number}")

    def _spend(self, spend_id: str) -> None:
        """Once begun it is seen through, as a client with the same id would."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = self.account.spend("0.01", spend_id)
                if answer.status_code == 200:
                    self.booked.add(spend_id)
                    return
                assert answer.status_code == 503, answer.text
            time.sleep(0.1)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
