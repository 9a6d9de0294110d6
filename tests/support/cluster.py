"""One PostgreSQL server for all workers of a test run, and databases cloned from a migrated template."""

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
from filelock import FileLock
from psycopg import sql

from local.embedded import Postgres
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
        state = run_directory / "cluster.json"
        with FileLock(run_directory / "cluster.lock"):
            if not state.exists():
                server = Postgres(
                    run_directory / "postgres", version=version, durable=False, owner=owner
                ).start()
                cluster = cls(server.url)
                cluster._build_template()
                state.write_text(json.dumps({"url": server.url, "guard": server.detach()}))
                STARTED.append(server)
                return cluster
        return cls(json.loads(state.read_text())["url"])

    @staticmethod
    def end(run_directory: Path) -> None:
        """Stop the server of the run, if any worker started it."""
        state = run_directory / "cluster.json"
        if state.exists():
            guard = psutil.Process(json.loads(state.read_text())["guard"])
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
