"""Usage and settlements that wait for the service, in order: SQLite in a directory, or in memory without one.

A commit survives the death of the process (WAL, synchronous NORMAL); the death of the machine may take the last ones.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from refill.errors import SpoolFull

USAGE, SETTLEMENT, SPENT = "usage", "settlement", "spent"
"""SPENT: usage that may have been booked already by a spend of the same id from a run."""
_BUSY_SECONDS = 30.0
_SCHEMA = """
create table if not exists waiting (
  seq integer primary key autoincrement, kind text not null, body text not null, lent integer not null);
create table if not exists totals (
  one integer primary key check (one = 1), events integer not null, bytes integer not null, lent integer not null);
insert or ignore into totals values (1, 0, 0, 0);
"""


class Entry(NamedTuple):
    """Something that waits. lent: micro-credits that were let through for it while the service was away."""

    kind: str
    body: str
    lent: int = 0
    seq: int = 0


class Size(NamedTuple):
    """What waits in all."""

    events: int
    bytes: int
    lent: int


class Spool:
    """Shared by threads and, with a directory, by processes. Bounded by events and bytes."""

    def __init__(self, directory: str | os.PathLike[str] | None, max_events: int, max_bytes: int) -> None:
        self.directory = None if directory is None else Path(directory)
        self.max_events, self.max_bytes = max_events, max_bytes
        self.reopen()

    def reopen(self) -> None:
        """Also for a process after a fork, which must not use its parent's connection."""
        self._lock = threading.RLock()
        if self.directory is not None:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = self._connect("spool.db")
        with self._lock:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.executescript(f"begin immediate;{_SCHEMA}commit;")

    def _connect(self, name: str) -> sqlite3.Connection:
        place = ":memory:" if self.directory is None else str(self.directory / name)
        return sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def size(self) -> Size:
        """What waits now."""
        with self._lock:
            return Size(*self._db.execute("select events, bytes, lent from totals").fetchone())

    def append(
        self, entries: Sequence[Entry], *, bounded: bool = True, lending_limit: int | None = None
    ) -> Size:
        """Keep them, all or none. SpoolFull past the bounds, or when more than lending_limit would be lent.

        Not bounded: what was let in before, and costs that nobody can refuse any more.
        """
        with self._writing() as db:
            size = Size(*db.execute("select events, bytes, lent from totals").fetchone())
            size = Size(
                size.events + len(entries),
                size.bytes + sum(len(entry.body) for entry in entries),
                size.lent + sum(entry.lent for entry in entries),
            )
            if bounded and (size.events > self.max_events or size.bytes > self.max_bytes):
                raise SpoolFull(f"{size.events} events with {size.bytes} bytes would wait for the service")
            if lending_limit is not None and size.lent > lending_limit:
                raise SpoolFull("the limit of what is let through while the service is away is reached")
            db.executemany(
                "insert into waiting (kind, body, lent) values (?, ?, ?)", [entry[:3] for entry in entries]
            )
            db.execute("update totals set events = ?, bytes = ?, lent = ?", size)
            return size

    def head(self, limit: int) -> list[Entry]:
        """The oldest entries."""
        with self._lock:
            found = self._db.execute(
                "select kind, body, lent, seq from waiting order by seq limit ?", (limit,)
            )
            return [Entry(*row) for row in found]

    def replace(self, entries: Sequence[Entry], others: Sequence[Entry] = ()) -> None:
        """The service has them, or will have the others in their stead."""
        if others:
            self.append(others, bounded=False)
        with self._writing() as db:
            db.executemany("delete from waiting where seq = ?", [(entry.seq,) for entry in entries])
            db.execute(
                "update totals set events = events - ?, bytes = bytes - ?, lent = lent - ?",
                (len(entries), sum(len(entry.body) for entry in entries), sum(e.lent for e in entries)),
            )

    @contextmanager
    def draining(self) -> Iterator[bool]:
        """Whether it is this process's turn to drain. The lock is a file's, so that it ends with its process."""
        if self.directory is None:
            yield True
            return
        with closing(self._connect("drain.lock")) as turn:
            turn.execute("pragma busy_timeout = 0")
            try:
                turn.execute("begin exclusive")
            except sqlite3.OperationalError:
                yield False
                return
            yield True

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
