"""The database seam: `call(function, **params)` runs one SQL function of schema billing as one transaction.

Two adapters: psycopg with a pool when DATABASE_URL is set, supabase-py RPC when only SUPABASE_URL and
SUPABASE_SECRET_KEY are. Every function answers one json value, so both give the same Python values. Every function may
be repeated with the same arguments, so a call whose answer was lost is repeated here.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import psycopg
from postgrest.exceptions import APIError
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

from shared.errors import DatabaseUnavailable, RefillError, SettingsError, from_sqlstate
from shared.settings import Settings
from supabase import Client, ClientOptions, create_client

CALL_TRIES_MAX = 4
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 10_000
CONNECTION_WAIT_SECONDS = 5.0
# Once somebody has waited that long in vain, others wait this long for a while: an outage must not fill every thread.
OUTAGE_WAIT_SECONDS = 0.25
OUTAGE_MEMORY_SECONDS = 2.0

# SQLSTATEs after which the same call may simply be made again: the transaction was rolled back by a conflict.
CONFLICTS = frozenset({"40001", "40P01", "55P03"})
# The server is going down or coming up, or has no room: classes 08 and 53, 57P01 to 57P03, PostgREST's lost connection.
ABSENT = ("08", "53", "57P", "PGRST000", "PGRST001", "PGRST002", "PGRST003")

# Values that the database refuses by their type, their form or a check of the table.
INVALID = frozenset({"22003", "22007", "22008", "22021", "22023", "22P02", "22P05", "23502", "23514"})


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
    """psycopg with a pool. Opens lazily, so that processes may start before PostgreSQL does."""

    def __init__(
        self, dsn: str, *, pool_size: int = 8, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
    ) -> None:
        self._statements: dict[tuple[str, tuple[str, ...]], bytes] = {}
        self._away_until = 0.0
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
            },
        )

    def call(self, function: str, **params: object) -> Any:
        """See Database.call."""
        statement = self._statement(function, tuple(params))
        values = [Jsonb(v.value) if isinstance(v, Json) else v for v in params.values()]
        return _repeating(lambda: self._run(statement, values))

    def ping(self) -> None:
        """See Database.ping."""
        self._run(b"select 1", [])

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
                row = connection.execute(statement, values).fetchone()
                return row[0] if row else None
        except PoolTimeout as error:
            # The pool has waited, and nothing was sent.
            self._away_until = time.monotonic() + OUTAGE_MEMORY_SECONDS
            raise DatabaseUnavailable("the database is away or too busy; try again") from error
        except (psycopg.DataError, UnicodeEncodeError) as error:
            # Values that psycopg cannot even send have no SQLSTATE: NUL characters, lone surrogates.
            sqlstate = getattr(error, "sqlstate", None) or "22P05"
            raise _translate(sqlstate, str(error).partition("\n")[0], None) from error
        except psycopg.Error as error:
            raised = _translate(
                error.sqlstate, error.diag.message_primary or str(error), error.diag.message_detail
            )
            if isinstance(raised, _Gone):
                # The server went away under every idle connection: without this, repeats would draw them one by one.
                self._pool.check()
            raise raised from error


class SupabaseDatabase:
    """supabase-py RPC over PostgREST, as the service role."""

    def __init__(self, url: str, secret_key: str) -> None:
        timeout = STATEMENT_TIMEOUT_MS / 1000 + 5
        self._client: Client = create_client(
            url,
            secret_key,
            ClientOptions(postgrest_client_timeout=timeout, auto_refresh_token=False, persist_session=False),
        )

    def call(self, function: str, **params: object) -> Any:
        """See Database.call."""
        body = {name: v.value if isinstance(v, Json) else v for name, v in params.items()}
        return _repeating(lambda: self._run(function, body))

    def ping(self) -> None:
        """See Database.ping."""
        self._run("list_packages", {})

    def close(self) -> None:
        """See Database.close."""
        self._client.postgrest.aclose()

    def _run(self, function: str, body: dict[str, Any]) -> Any:
        try:
            return self._client.schema("billing").rpc(function, body).execute().data
        except APIError as error:
            # Without a SQLSTATE the code is the HTTP status of whatever stands before PostgREST.
            code = error.code if isinstance(error.code, str) and len(error.code) > len("503") else None
            raise _translate(code, error.message or "", error.details) from error
        except UnicodeEncodeError as error:
            raise _translate("22P05", str(error), None) from error
        except httpx.HTTPError as error:
            raise _Gone("no answer from Supabase") from error


class _Conflict(Exception):
    """Rolled back by a deadlock or a lock time-out."""


class _Gone(DatabaseUnavailable):
    """The connection failed: the outcome is unknown, and every function may be repeated."""


def _repeating(run: Callable[[], Any]) -> Any:
    """Runs a call, again after conflicts and lost connections, with growing random waits, at most CALL_TRIES_MAX times."""
    for attempt in range(1, CALL_TRIES_MAX + 1):
        try:
            return run()
        except (_Conflict, _Gone) as error:
            if attempt == CALL_TRIES_MAX:
                raise DatabaseUnavailable("the database is away or too busy; try again") from error
        time.sleep(random.uniform(0.01, 0.05) * 4 ** (attempt - 1))  # noqa: S311  # jitter, not a secret
    raise AssertionError("unreachable")


def _translate(sqlstate: str | None, message: str, detail: object) -> Exception:
    """The Python error for a SQLSTATE. Ours carry their facts as a json DETAIL."""
    if sqlstate is None or sqlstate.startswith(ABSENT):
        return _Gone(message)
    if sqlstate in CONFLICTS:
        return _Conflict(message)
    if sqlstate == "57014":
        return DatabaseUnavailable("the database took too long; try again")
    if sqlstate in INVALID:
        return from_sqlstate("RF008", message) or RefillError(message)
    facts = json.loads(detail) if isinstance(detail, str) and detail.startswith("{") else None
    return from_sqlstate(sqlstate, message, facts) or RefillError(f"database error {sqlstate}: {message}")
