"""Reconciling many payments: reads at Stripe, seconds, memory of the worker, and what a kill in the middle costs.

Slow to build, so it only runs when it is named: `python -m bench reconcile`.
"""

from __future__ import annotations

import sqlite3
import threading

import psycopg

from bench import payments as bulk
from bench.charge import Shop
from bench.harness import BenchError, Recorder, timed
from bench.http import await_true
from bench.recovery import megabytes
from local.stack import Stack

FEW, MANY, DIFFERING = 10_000, 100_000, 1_000
DONE_SECONDS = 1800.0
LIST = "/v1/payment_intents"


def run(stack: Stack, recorder: Recorder) -> None:
    """Few payments, many, then as many of which some are not booked, with a kill in the middle."""
    few, many, differing = (200, 600, 20) if recorder.small else (FEW, MANY, DIFFERING)
    books = _Books(stack)
    books.fill(range(few))
    books.reconcile()
    small = books.memory
    books.fill(range(few, many))
    before = books.reads
    seconds = timed(books.reconcile)
    recorder.keep("reconcile.seconds", [seconds])
    recorder.keep("reconcile.reads_per_100", [(books.reads - before) / many * 100])
    recorder.keep("reconcile.worker_rss_mb", [books.memory])
    recorder.keep("reconcile.worker_rss_growth_mb", [max(0.01, books.memory - small)])

    books.fill(range(many, many + differing), unpaid=True)
    before = books.reads
    recorder.keep("reconcile.seconds_with_differences_and_a_kill", [timed(books.reconcile_killed)])
    recorder.keep("reconcile.reads_again", [books.reads_twice(before)])


class _Books:
    """Payments of one account, at the local Stripe and here."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.shop = Shop(stack)
        account = self.shop.account()
        with self._connect() as connection:
            [customer] = connection.execute(
                "select stripe_customer_id from billing.customers where account_id = %s", [account]
            ).fetchone() or [""]
            connection.execute(
                "select billing.set_auto_topup(%s, '{\"enabled\": false}', 'bench')", [account]
            )
            connection.execute(
                "select billing.open_purchase('pay_first', %s, 'credits_100', 1, %s)", [account, customer]
            )
        self.intent = str(
            self.shop.control.do("pay_from_dashboard", customer=customer, amount=self._price())["id"]
        )
        self.shop.client.v1.payment_intents.update(
            self.intent, {"metadata": {"refill_payment_id": "pay_first"}}
        )

    @property
    def reads(self) -> int:
        return len(self.shop.control.look("requests", method="GET"))

    @property
    def memory(self) -> float:
        return megabytes(self.stack.programs["worker"].process)

    def fill(self, numbers: range, *, unpaid: bool = False) -> None:
        print(f"  reconcile: making {len(numbers):,} payments", flush=True)
        with sqlite3.connect(self.stack.directory / "stripe-state", timeout=60) as state:
            bulk.at_stripe(state, "pay_first", self.intent, numbers)
        with self._connect() as connection:
            if unpaid:
                bulk.in_books(connection, "pay_first", numbers, 1)
            else:
                bulk.as_paid(connection, "pay_first", numbers)
            connection.execute("vacuum analyze billing.payments")

    def reconcile(self) -> None:
        """A whole run; what is listed beside payments is the same in each."""
        if "agree" not in self.stack.flask("reconcile", "--since", "24h"):
            raise BenchError("the books and the local Stripe do not agree")

    def reconcile_killed(self) -> None:
        """A run whose worker is killed when it has come to the payments; the stack starts another."""
        shown: list[str] = []
        command = threading.Thread(
            target=lambda: shown.append(self.stack.flask("reconcile", "--since", "24h"))
        )
        lists = self._lists()
        command.start()
        await_true(lambda: self._lists() > lists + 2, "a run that is at the payments", DONE_SECONDS)
        worker = self.stack.programs["worker"].process
        if worker is None:
            raise BenchError("there is no worker")
        worker.kill()
        with self._connect() as connection:
            connection.execute(
                "update billing.reconciliations set lease_until = now() where state = 'running'"
            )
        command.join(DONE_SECONDS)
        if not shown or "agree" not in shown[0]:
            raise BenchError("the run that was killed did not come to its end")

    def reads_twice(self, before: int) -> float:
        """How many reads since then were made before."""
        asked = self.shop.control.look("requests", method="GET")[before:]
        seen = {(request["path"], str(request["params"])) for request in asked if request["path"] == LIST}
        return float(sum(request["path"] == LIST for request in asked) - len(seen))

    def _lists(self) -> int:
        return len(self.shop.control.look("requests", method="GET", path=LIST))

    def _price(self) -> int:
        with self._connect() as connection:
            row = connection.execute("select amount from billing.payments where id = 'pay_first'").fetchone()
            return int(row[0]) if row else 0

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.stack.services.postgres.url, autocommit=True)
