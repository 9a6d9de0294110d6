"""State of the local Stripe in one SQLite database, a file or memory. All use is under the engine's lock.

Objects are kept whole as JSON with the few columns that lists filter by. A key that starts with `_` is
private to the server and never leaves it (`public`).
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

Obj = dict[str, Any]

_SCHEMA = """
create table if not exists objects (
    seq integer primary key autoincrement, kind text not null, id text not null unique,
    created integer not null, customer text, payment_intent text, type text, body text not null);
create index if not exists objects_kind on objects (kind, seq);
create index if not exists objects_customer on objects (customer, kind, seq);
create index if not exists objects_payment on objects (payment_intent, kind, seq);
create table if not exists idempotency (
    key text primary key, fingerprint text not null, status integer not null, body text not null,
    request_id text not null, created real not null);
create table if not exists deliveries (
    id integer primary key autoincrement, event text not null, type text not null, state text not null,
    attempts integer not null default 0, due real not null, last_status integer, last_error text);
create table if not exists settings (name text primary key, value text not null);
"""


def public(value: Any) -> Any:
    """A deep copy without private keys."""
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items() if not key.startswith("_")}
    return [public(item) for item in value] if isinstance(value, list) else value


class Store:
    """Objects by id and lists of them, idempotency records, deliveries, settings."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = off")
        self.db.executescript(_SCHEMA)

    def begin(self) -> None:
        self.db.execute("begin")

    def commit(self) -> None:
        self.db.execute("commit")

    def rollback(self) -> None:
        self.db.execute("rollback")

    def put(self, obj: Obj) -> Obj:
        """Insert or replace by id; an object keeps its place in lists."""
        row = (
            obj["object"],
            obj["id"],
            obj.get("created", obj.get("date", 0)),
            _id_of(obj.get("customer")),
            _id_of(obj.get("payment_intent")),
            obj.get("type") if isinstance(obj.get("type"), str) else None,
            json.dumps(obj, separators=(",", ":")),
        )
        self.db.execute(
            "insert into objects (kind, id, created, customer, payment_intent, type, body) values "
            "(?,?,?,?,?,?,?) on conflict (id) do update set customer = excluded.customer, payment_intent = "
            "excluded.payment_intent, body = excluded.body",
            row,
        )
        return obj

    def get(self, kind: str, id: str) -> Obj | None:
        row = self.db.execute("select body from objects where id = ? and kind = ?", (id, kind)).fetchone()
        return json.loads(row["body"]) if row else None

    def any(self, id: str) -> Obj | None:
        """An object by id alone, whatever it is."""
        row = self.db.execute("select body from objects where id = ?", (id,)).fetchone()
        return json.loads(row["body"]) if row else None

    def delete(self, id: str) -> None:
        self.db.execute("delete from objects where id = ?", (id,))

    def seq(self, id: str) -> int | None:
        row = self.db.execute("select seq from objects where id = ?", (id,)).fetchone()
        return int(row["seq"]) if row else None

    def select(
        self, kind: str, where: str = "", args: tuple[Any, ...] = (), order: str = "desc", limit: int = -1
    ) -> list[Obj]:
        """Objects of a kind, newest first by default. `where` is a condition over columns and `body`."""
        condition = f" and ({where})" if where else ""
        query = f"select body from objects where kind = ?{condition} order by seq {order} limit ?"  # noqa: S608 - own text
        rows = self.db.execute(query, (kind, *args, limit))
        return [json.loads(row["body"]) for row in rows]

    def count(self, kind: str) -> int:
        return int(self.db.execute("select count(*) from objects where kind = ?", (kind,)).fetchone()[0])

    def setting(self, name: str, default: Any = None) -> Any:
        row = self.db.execute("select value from settings where name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else default

    def set_setting(self, name: str, value: Any) -> None:
        self.db.execute(
            "insert into settings values (?, ?) on conflict (name) do update set value = excluded.value",
            (name, json.dumps(value)),
        )

    def wipe(self) -> None:
        for statement in ("delete from objects", "delete from idempotency", "delete from deliveries"):
            self.db.execute(statement)
        self.db.execute("delete from settings")

    def close(self) -> None:
        self.db.close()


def _id_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None
