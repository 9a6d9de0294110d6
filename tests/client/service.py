"""The real service, which tests may kill, and a proxy before it that delays or loses answers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from local.api import Api
from local.embedded import listening
from local.stack import Stack
from refill import AsyncRefill, Policy, Refill
from tests.support import wait_until

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
GRANTED = Decimal(100)
QUICK = Policy(timeout=2.0, deadline=20.0, first_wait=0.02, longest_wait=0.2)
IMPATIENT = Policy(timeout=0.5, deadline=0.6, first_wait=0.02, longest_wait=0.1)
_numbers = itertools.count(1)


class Service:
    """Web of a stack, with a key for everything."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        scopes = "accounts,spend,usage,price,read,admin"
        self.key = stack.flask("api-keys", "create", "--name", "client", "--scopes", scopes).split()[-1]

    @property
    def url(self) -> str:
        return self.stack.url.replace("localhost", "127.0.0.1")

    def account(self) -> str:
        """A new account with 100 credits."""
        account_id = f"client-{os.getpid()}-{next(_numbers)}"
        Api(self.url, self.key, account_id).open_account("Client", "client@example.com")
        return account_id

    def client(self, account_id: str, **options: Any) -> Refill:
        return Refill(options.pop("url", self.url), self.key, account_id, **({"policy": QUICK} | options))

    def async_client(self, account_id: str, **options: Any) -> AsyncRefill:
        return AsyncRefill(
            options.pop("url", self.url), self.key, account_id, **({"policy": QUICK} | options)
        )

    def api(self, account_id: str) -> Api:
        return Api(self.url, self.key, account_id)

    def kill(self) -> None:
        """SIGKILL to web and its workers."""
        process = self.stack.programs["web"].process
        assert process is not None
        process.kill()
        wait_until(lambda: not listening(self.stack.port), 10, "the port to be free")

    def start(self) -> None:
        if not self.stack.programs["web"].running:
            self.stack.programs["web"].start()
        wait_until(lambda: listening(self.stack.port), 30, "web to listen")

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with (
            psycopg.connect(
                self.stack.settings["DATABASE_URL"], autocommit=True, row_factory=dict_row
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def booked(self, account_id: str) -> list[str]:
        """The ids of the account's usage: calls in the order in which they were booked, each by id."""
        found = self.query(
            "select u.event_id from billing.credit_usage u where u.account_id = %s order by u.transaction_id, u.event_id",
            account_id,
        )
        return [row["event_id"] for row in found]

    def charged(self, account_id: str) -> Decimal:
        """Credits that the account's usage cost, by the ledger."""
        found = self.query(
            "select coalesce(-sum(amount), 0) as micro from billing.credit_transactions"
            " where account_id = %s and kind = 'usage'",
            account_id,
        )
        return Decimal(found[0]["micro"]) / 1_000_000

    def hold(self, account_id: str, hold_id: str) -> dict[str, Any]:
        found = self.query(
            "select * from billing.credit_holds where account_id = %s and id = %s", account_id, hold_id
        )
        return found[0]

    def held(self, account_id: str) -> Decimal:
        found = self.query("select held from billing.credit_balances where account_id = %s", account_id)
        return Decimal(found[0]["held"]) / 1_000_000

    def violations(self) -> object:
        """What the ledger's invariants find; nothing is good."""
        return self.query("select billing.check_invariants() as found")[0]["found"]

    def program(
        self, code: str, account_id: str, *arguments: str, log: Path, url: str | None = None
    ) -> subprocess.Popen[bytes]:
        """A process of its own that runs code with `client` imports; its output is in the log."""
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'client' / 'src'}",
            "PYTHONUNBUFFERED": "1",
        }
        env |= {"REFILL_URL": url or self.url, "REFILL_API_KEY": self.key, "ACCOUNT": account_id}
        with log.open("ab") as out:
            return subprocess.Popen([sys.executable, "-c", code, *arguments], env=env, stdout=out, stderr=out)


class Slow:
    """A relay that holds back or loses the service's answers; the service has done the work by then."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lose = 0
        """So many answers are lost from now on."""
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, answers), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.lose:
                    self.lose -= 1
                    self.lost += 1
                    time.sleep(0.7)  # past the timeout of IMPATIENT: a slow answer, then none
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def started() -> Iterator[Service]:
    """The service for a session of tests."""
    with Stack(programs=("web",), settings={"SIGNUP_CREDITS": str(GRANTED)}, supervise=False) as stack:
        yield Service(stack)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, in a thread of its own: a browser test before may have left a loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()
