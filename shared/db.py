"""The database seam: `call(function, **params)` runs one SQL function of schema billing as one transaction.

Two adapters: psycopg with a pool when DATABASE_URL is set, supabase-py RPC when only SUPABASE_URL and
SUPABASE_SECRET_KEY are. Every function answers one json value, so both give the same Python values. Every function may
be repeated with the same arguments, so a call whose answer was lost is repeated here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import psycopg
from postgrest.exceptions import APIError
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

from shared.db_errors import (
    AWAY,
    READ_ONLY,
    TOO_LARGE,
    ConflictError,
    GoneError,
    Reporter,
    StaleError,
    translate,
)
from shared.errors import DatabaseUnavailable, SettingsError
from shared.settings import Settings
from supabase import Client, ClientOptions, create_client

CALL_TRIES_MAX = 4
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 10_000
CONNECTION_WAIT_SECONDS = 5.0
# Once somebody has waited that long in vain, others wait this long for a while: an outage must not fill every thread.
OUTAGE_WAIT_SECONDS = 0.25
OUTAGE_MEMORY_SECONDS = 2.0

# How long a server may take to say, to a process that is asked whether it is ready, that it takes no changes.
PROBE_SECONDS = 2
# All of them are dropped when one sees a read-only server, at most that often: during an outage it would help nobody.
DRAIN_SECONDS = 1.0


class Json:
    """Marks an argument as a jsonb parameter."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Database(Protocol):
    """What the ledger needs of a database."""

    def call(self, function: str, **params: object) -> Any:
        """Runs billing.<function> with named parameters and answers its json value."""

    def ping(self) -> None:
        """Raises DatabaseUnavailable unless the database answers."""

    def close(self) -> None:
        """Gives connections back."""


def connect(
    settings: Settings, *, pool_size: int = 8, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Database:
    """The adapter that the settings ask for. Over Supabase's API the statement time-out is the project's."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        return PostgresDatabase(url, pool_size=pool_size, statement_timeout_ms=statement_timeout_ms)
    if settings.supabase_url is None or settings.supabase_secret_key is None:
        raise SettingsError("set DATABASE_URL, or SUPABASE_URL together with SUPABASE_SECRET_KEY")
    return SupabaseDatabase(settings.supabase_url, settings.supabase_secret_key.get_secret_value())


class PostgresDatabase:
    """psycopg with a pool. Opens lazily, so that processes may start before PostgreSQL does.

    Connections go to a server that takes changes (libpq's target_session_attrs=read-write, unless the DSN says
    otherwise): of several hosts to the primary, and after a failover never back to the former one.
    """

    def __init__(
        self, dsn: str, *, pool_size: int = 8, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
    ) -> None:
        self._statements: dict[tuple[str, tuple[str, ...]], bytes] = {}
        self._away_until = 0.0
        self._drained_at = -DRAIN_SECONDS
        self._reporter = Reporter()
        self._dsn = dsn
        self._pool = ConnectionPool(
            dsn,
            min_size=1,
            max_size=pool_size,
            timeout=CONNECTION_WAIT_SECONDS,
            reconnect_timeout=10,
            open=False,
            kwargs={
                "autocommit": True,
                "connect_timeout": 5,
                "application_name": "refill",
                "options": f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={LOCK_TIMEOUT_MS}",
                **_target(dsn),
            },
        )

    def call(self, function: str, **params: object) -> Any:
        """See Database.call."""
        statement = self._statement(function, tuple(params))
        values = [Jsonb(v.value) if isinstance(v, Json) else v for v in params.values()]
        return _repeating(self._reporter, function, lambda: self._run(statement, values))

    def ping(self) -> None:
        """See Database.ping."""
        try:
            read_only = self._run(b"select current_setting('transaction_read_only')", [])
        except DatabaseUnavailable as error:
            # The pool connects to no read-only server; whoever asks may know the difference.
            if _is_read_only(self._dsn):
                raise translate(READ_ONLY, "transaction_read_only is on", None) from error
            raise
        if read_only == "on":
            self._leave_read_only_server()
            raise translate(READ_ONLY, "transaction_read_only is on", None)

    def close(self) -> None:
        """See Database.close."""
        self._pool.close()

    def _statement(self, function: str, names: tuple[str, ...]) -> bytes:
        # Rendered once: composing costs as much as sending.
        known = self._statements.get((function, names))
        if known is None:
            arguments = sql.SQL(", ").join(sql.SQL("{} => %s").format(sql.Identifier(name)) for name in names)
            known = sql.SQL("select billing.{}({})").format(sql.Identifier(function), arguments).as_bytes()
            self._statements[function, names] = known
        return known

    def _run(self, statement: bytes, values: list[Any]) -> Any:
        if self._pool.closed:
            self._pool.open(wait=False)
        try:
            away = time.monotonic() < self._away_until
            with self._pool.connection(OUTAGE_WAIT_SECONDS if away else None) as connection:
                try:
                    row = connection.execute(statement, values).fetchone()
                except psycopg.Error as error:
                    if isinstance(_meaning(error), StaleError):
                        connection.close()  # the pool replaces it
                    raise
                return row[0] if row else None
        except PoolTimeout as error:
            # The pool has waited, and nothing was sent.
            self._away_until = time.monotonic() + OUTAGE_MEMORY_SECONDS
            raise DatabaseUnavailable(AWAY) from error
        except UnicodeEncodeError as error:
            raise translate("22P05", str(error), None) from error
        except psycopg.Error as error:
            raised = _meaning(error)
            if isinstance(raised, GoneError):
                # The server went away under every idle connection: without this, repeats would draw them one by one.
                self._pool.check()
            elif isinstance(raised, StaleError) and raised.sqlstate == READ_ONLY:
                self._leave_read_only_server()
            raise raised from error

    def _leave_read_only_server(self) -> None:
        """After a failover every connection of the pool is one to the former primary."""
        now = time.monotonic()
        if now - self._drained_at >= DRAIN_SECONDS:
            self._drained_at = now
            self._pool.drain()


def _meaning(error: psycopg.Error) -> Exception:
    sqlstate = error.sqlstate
    if sqlstate is None and isinstance(error, psycopg.DataError):
        # Values that psycopg cannot even send have no SQLSTATE: NUL characters.
        sqlstate = "22P05"
    message = error.diag.message_primary or str(error).partition("\n")[0]
    return translate(sqlstate, message, error.diag.message_detail)


def _target(dsn: str) -> dict[str, Any]:
    return {} if "target_session_attrs" in conninfo_to_dict(dsn) else {"target_session_attrs": "read-write"}


def _is_read_only(dsn: str) -> bool:
    """Whether a server is there that takes no changes."""
    try:
        with psycopg.connect(
            dsn, connect_timeout=PROBE_SECONDS, target_session_attrs="any", autocommit=True
        ) as connection:
            row = connection.execute("select current_setting('transaction_read_only')").fetchone()
    except psycopg.Error:
        return False
    return row == ("on",)


class SupabaseDatabase:
    """supabase-py RPC over PostgREST, as the service role."""

    def __init__(self, url: str, secret_key: str) -> None:
        timeout = STATEMENT_TIMEOUT_MS / 1000 + 5
        self._reporter = Reporter()
        self._client: Client = create_client(
            url,
            secret_key,
            ClientOptions(postgrest_client_timeout=timeout, auto_refresh_token=False, persist_session=False),
        )

    def call(self, function: str, **params: object) -> Any:
        """See Database.call."""
        body = {name: v.value if isinstance(v, Json) else v for name, v in params.items()}
        return _repeating(self._reporter, function, lambda: self._run(function, body))

    def ping(self) -> None:
        """See Database.ping."""
        if self._run("is_read_only", {}):
            raise translate(READ_ONLY, "transaction_read_only is on", None)

    def close(self) -> None:
        """See Database.close."""
        self._client.postgrest.aclose()

    def _run(self, function: str, body: dict[str, Any]) -> Any:
        try:
            return self._client.schema("billing").rpc(function, body).execute().data
        except APIError as error:
            # Without a SQLSTATE the code is the HTTP status of whatever stands before PostgREST.
            code = str(error.code or "")
            known = code == TOO_LARGE or len(code) > len("503")
            raise translate(code if known else None, error.message or "", error.details) from error
        except UnicodeEncodeError as error:
            raise translate("22P05", str(error), None) from error
        except httpx.HTTPError as error:
            raise translate(None, f"no answer from Supabase: {type(error).__name__}", None) from error


def _repeating(reporter: Reporter, function: str, run: Callable[[], Any]) -> Any:
    """Runs a call, again after conflicts, lost connections and stale sessions, with growing random waits, at most
    CALL_TRIES_MAX times.
    """
    for attempt in range(1, CALL_TRIES_MAX + 1):
        try:
            return run()
        except DatabaseUnavailable as error:
            again = isinstance(error, (ConflictError, GoneError, StaleError))
            if attempt == CALL_TRIES_MAX or not again:
                reporter.failed(function, error)
                raise
        time.sleep(random.uniform(0.01, 0.05) * 4 ** (attempt - 1))  # noqa: S311  # jitter, not a secret
    raise AssertionError("unreachable")
