"""A real PostgreSQL that takes no changes for a while, and a real standby that is promoted, under a load of spends."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from local.embedded import Postgres
from local.embedded.guarded import Guarded
from local.embedded.postgres import program
from shared.db import PostgresDatabase
from shared.errors import DatabaseUnavailable
from shared.ledger import Ledger
from tests.support import free_port, wait_until

CREDIT = 1_000_000


class Load:
    """Eight threads that spend a credit after the other; a spend that fails is tried again under its id."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.stop = threading.Event()
        self.spent = 0
        self.failures: list[tuple[float, str | None]] = []
        self.others: list[BaseException] = []
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(8)]

    def _run(self, number: int) -> None:
        k = 0
        while not self.stop.is_set():
            try:
                self.ledger.spend_credits("a", {"id": f"{number}.{k}", "amount": CREDIT})
            except DatabaseUnavailable as error:
                with self._lock:
                    self.failures.append((time.monotonic(), error.sqlstate))
                continue
            except BaseException as error:  # noqa: BLE001  # a test reads it
                self.others.append(error)
                return
            k += 1
            with self._lock:
                self.spent += 1

    def more(self, count: int = 50, timeout: float = 30) -> None:
        target = self.spent + count
        wait_until(lambda: self.spent >= target or self.others, timeout, "more spends")

    def failed_since(self, moment: float) -> int:
        return sum(at >= moment for at, _ in self.failures)


@contextlib.contextmanager
def load(ledger: Ledger) -> Iterator[Load]:
    made = Load(ledger)
    for thread in made.threads:
        thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        for thread in made.threads:
            thread.join(30)
    assert made.others == []


def opened(dsn: str) -> tuple[PostgresDatabase, Ledger]:
    seam = PostgresDatabase(dsn, pool_size=8)
    ledger = Ledger(seam)
    ledger.open_account("a", "A", None, None, 1_000_000 * CREDIT, "test")
    return seam, ledger


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def set_read_only(server: Postgres, value: str) -> None:
    ask(server.url, f"alter system set default_transaction_read_only = {value}")
    ask(server.url, "select pg_reload_conf()")


def sessions(server: Postgres) -> set[int]:
    found = ask(server.url, "select pid from pg_stat_activity where application_name = 'refill'")
    return {row[0] for row in found}


def test_spends_go_on_after_a_server_was_read_only_and_no_old_connection_stays(
    own_postgres: Postgres,
) -> None:
    seam, ledger = opened(own_postgres.url)
    with load(ledger) as spending:
        spending.more()
        before = sessions(own_postgres)
        assert before
        set_read_only(own_postgres, "on")
        wait_until(lambda: spending.failures, 20, "spends to fail")
        with pytest.raises(DatabaseUnavailable) as caught:
            seam.ping()
        assert caught.value.sqlstate == "25006", "so that /readyz can say it"
        set_read_only(own_postgres, "off")
        back = time.monotonic()
        spending.more(200)
        healed = time.monotonic()
        spending.more(200)
        assert spending.failed_since(healed) == 0
        assert healed - back < 12
        assert not sessions(own_postgres) & before
        seam.ping()
    assert ledger.get_balance("a")["available"] == (1_000_000 - spending.spent) * CREDIT
    seam.close()


def test_a_session_that_is_read_only_by_itself_is_replaced_at_once(own_postgres: Postgres) -> None:
    """The server takes changes; every idle connection believes that it does not."""
    seam, ledger = opened(own_postgres.url)
    with load(ledger) as spending:
        spending.more()
    with contextlib.ExitStack() as stack:
        for connection in [stack.enter_context(seam._pool.connection()) for _ in range(4)]:
            connection.execute("set default_transaction_read_only = on")
    for number in range(20):
        ledger.spend_credits("a", {"id": f"after.{number}", "amount": CREDIT})
    seam.close()


@pytest.mark.parametrize("own", ["any", "read-only", "prefer-standby"])
def test_whoever_sets_where_connections_go_is_obeyed(own_postgres: Postgres, own: str) -> None:
    set_read_only(own_postgres, "on")
    seam = PostgresDatabase(f"{own_postgres.url}?target_session_attrs={own}")
    assert len(Ledger(seam).list_packages()) == 3
    with pytest.raises(DatabaseUnavailable):
        Ledger(seam).open_account("a", "A", None, None, 0, "test")
    seam.close()


@pytest.fixture
def standby(own_postgres: Postgres) -> Iterator[Postgres]:
    """A hot standby of own_postgres, streaming."""
    server = Postgres(port=free_port(), version=own_postgres.version)
    copy = [
        str(program("pg_basebackup", own_postgres.version)),
        f"--dbname={own_postgres.url}",
        f"--pgdata={server.data}",
    ]
    copy += ["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream"]
    log = server.directory / "basebackup.log"
    server.data.mkdir(mode=0o700)
    shutil.chown(server.data, own_postgres.user or None)
    assert Guarded(copy, log, user=own_postgres.user or None).wait() == 0, log.read_text()
    shutil.copy(own_postgres.directory / "postgres.password", server.directory / "postgres.password")
    with server:
        yield server


@pytest.mark.parametrize("demotion", ["killed", "set read-only"])
def test_after_a_failover_spends_go_to_the_promoted_standby_within_seconds(
    own_postgres: Postgres, standby: Postgres, demotion: str
) -> None:
    hosts = f"127.0.0.1:{own_postgres.port},127.0.0.1:{standby.port}"
    dsn = own_postgres.url.replace(f"127.0.0.1:{own_postgres.port}", hosts)
    seam, ledger = opened(dsn)
    end: Callable[[], object] = own_postgres.kill
    if demotion == "set read-only":
        end = lambda: set_read_only(own_postgres, "on")  # noqa: E731
    with load(ledger) as spending:
        spending.more()
        wait_until(lambda: ask(standby.url, "select pg_is_in_recovery()") == [(True,)], 10)
        end()
        wait_until(lambda: spending.failures, 20, "spends to fail")
        ask(standby.url, "select pg_promote()")
        promoted = time.monotonic()
        spending.more(200)
        healed = time.monotonic()
        spending.more(200)
        assert spending.failed_since(healed) == 0
        assert healed - promoted < 12
    assert sessions(standby)
    if demotion == "set read-only":
        assert not sessions(own_postgres)
        seen = ask(standby.url, "select count(*) from billing.credit_usage")[0][0]
        assert seen > 0
    seam.close()
