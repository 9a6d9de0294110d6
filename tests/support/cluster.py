"""One PostgreSQL server for all workers of a test run, and databases cloned from a migrated template."""

import contextlib
import json
import os
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from filelock import FileLock
from psycopg import sql

from local.embedded import EmbeddedError, Postgres
from local.embedded.guarded import await_death
from shared import migrate

TEMPLATE = "refill_template"
STARTED: list[Postgres] = []  # kept, because a process object that is collected complains that it still runs


@dataclass(frozen=True)
class Database:
    """A database of a test's own."""

    name: str
    dsn: str

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection as superuser; each statement is its own transaction unless `autocommit=False`."""
        return psycopg.connect(self.dsn, **({"autocommit": True} | options))

    @contextmanager
    def acting_as(
        self, role: str, claims: Mapping[str, Any] | None = None
    ) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A connection as PostgREST would make it: one of Supabase's roles with the claims of a token."""
        with self.connect() as connection:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            value = json.dumps(dict(claims or {}) | {"role": role})
            connection.execute("select set_config('request.jwt.claims', %s, false)", [value])
            yield connection


class Cluster:
    """The server of this run. The first worker that needs it starts it; it ends with the run."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def join(cls, run_directory: Path, owner: int, version: int) -> "Cluster":
        """Connect to the server of the run, starting it and building the template if nobody has yet."""
        run_directory.mkdir(mode=0o700, exist_ok=True)
        state = run_directory / "cluster.json"
        with FileLock(run_directory / "cluster.lock"):
            if not state.exists():
                state.write_text(json.dumps(cls._start(run_directory, owner, version)))
        found = json.loads(state.read_text())
        if "error" in found:
            pytest.fail(found["error"], pytrace=False)
        return cls(found["url"])

    @classmethod
    def _start(cls, run_directory: Path, owner: int, version: int) -> dict[str, str | int]:
        """What all workers need to know: where the server is, or why there is none."""
        server = Postgres(run_directory / "postgres", version=version, durable=False, owner=owner)
        server.remove_if_abandoned = run_directory
        try:
            cls(server.start().url)._build_template()
        except (EmbeddedError, migrate.MigrationError) as error:
            server.close()
            return {"error": f"no database for any test: {error}"}
        STARTED.append(server)
        return {"url": server.url, "guard": server.detach()}

    @staticmethod
    def end(run_directory: Path) -> None:
        """Stop the server of the run, if any worker started it."""
        state = run_directory / "cluster.json"
        found = json.loads(state.read_text()) if state.exists() else {}
        if "guard" in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                guard = psutil.Process(found["guard"])
                guard.send_signal(signal.SIGTERM)
                await_death([guard])

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[Database]:
        """A copy of the template (`template1` for an empty database), dropped afterwards."""
        name = f"test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        # Copying files is several times faster than writing the copy to the log, as the server does not sync.
        create = sql.SQL("create database {} template {} strategy file_copy")
        self._execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield Database(name, self._url_of(name))
        finally:
            self._execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def _build_template(self) -> None:
        name = sql.Identifier(TEMPLATE)
        self._execute(sql.SQL("create database {}").format(name))
        migrate.apply(self._url_of(TEMPLATE), report=lambda _line: None)
        # Connections to the template, even autovacuum's, would keep it from being copied.
        self._execute(sql.SQL("alter database {} allow_connections false").format(name))

    def _url_of(self, name: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)
