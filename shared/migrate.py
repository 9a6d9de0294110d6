"""Brings a database to the schema of this checkout: `apply(dsn)`, or `python -m shared.migrate DSN`.

Three steps, each safe to repeat and safe while others do the same:
1. `sql/bootstrap/*.sql` creates the roles and the schema `auth` that Supabase has and plain PostgreSQL lacks.
2. `sql/migrations/NNNN_name.sql`, once each, recorded in the table that the Supabase CLI uses for them.
3. `sql/functions`, `sql/views`, `sql/api`, `sql/policies.sql`, `sql/seed`: all of them again, in one transaction,
   when any file changed or somebody granted anything since; so nobody meets a new function without its grants.
   What no file creates is dropped.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import errors

SQL = Path(__file__).resolve().parent.parent / "sql"
LOCK = 7_235_341_902  # any number that nobody else locks
LOCK_TIMEOUT = "15s"  # who waits for a table makes everybody else wait for it too
ATTEMPTS = 5
BUSY = (errors.LockNotAvailable, errors.DeadlockDetected)
# What `create or replace` answers when only dropping first would do: another result type, other columns.
REPLACE_REFUSED = (errors.InvalidFunctionDefinition, errors.InvalidTableDefinition)
TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|\be'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|;",
    re.DOTALL | re.IGNORECASE,
)
BLANK = re.compile(r"(?:\s+|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
VERSION = re.compile(r"(\d{4})_(\w+)\.sql")
CREATED = re.compile(
    r"\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure|view|policy)\s+(?:\w+\.)?\"?(\w+)", re.IGNORECASE
)
# The files of step 3 in their order, by the kind of thing that they create.
REPEATABLE = {
    "routine ": "functions/*.sql",
    "view billing.": "views/*.sql",
    "view api.": "api/*.sql",
    "policy ": "policies.sql",
    "nothing else": "seed/*.sql",
}
# What step 3 may have created: how to name it, a stamp that changes when it is created anew, its bare name.
# Schema api may be the project's own, so only what a file of ours created there is ours.
DEFINED = """
select format('policy %I on %s', p.polname, p.polrelid::regclass), p.oid || '/' || p.xmin, p.polname::text
  from pg_policy p join pg_class c on c.oid = p.polrelid and c.relnamespace = to_regnamespace('billing')
union all
select 'view ' || c.oid::regclass, c.oid || '/' || r.xmin, c.relname
  from pg_class c join pg_rewrite r on r.ev_class = c.oid
 where c.relkind = 'v' and (c.relnamespace = to_regnamespace('billing')
    or c.relnamespace = to_regnamespace('api')
   and exists (select from billing.schema_files f where f.name = format('sql/api/%s.sql', c.relname)))
union all
select 'routine ' || p.oid::regprocedure, p.oid || '/' || p.xmin, p.proname
  from pg_proc p
 where p.pronamespace = to_regnamespace('billing')
   and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
"""
# A fingerprint of what the roles of clients may do, of the policies and of what Realtime publishes: policies.sql decides
# all of it, and must run again when somebody changed it since.
RIGHTS = """
with things (name, acl) as (
  select 'schema ' || nspname, nspacl from pg_namespace where nspname in ('billing', 'api')
  union all
  select 'relation ' || c.oid::regclass, c.relacl from pg_class c where c.relnamespace = to_regnamespace('billing')
     or c.relnamespace = to_regnamespace('api')
    and exists (select from billing.schema_files f where f.name = format('sql/api/%s.sql', c.relname))
  union all
  select format('column %s.%s', c.oid::regclass, a.attname), a.attacl
    from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relnamespace = to_regnamespace('billing')
  union all
  select 'routine ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner))
    from pg_proc where pronamespace = to_regnamespace('billing')
)
select md5(coalesce(string_agg(fact, ', ' order by fact collate "C"), '')) from (
  select concat_ws(' ', t.name, r.rolname, x.privilege_type, x.is_grantable) as fact
    from things t cross join aclexplode(t.acl) x left join pg_roles r on r.oid = x.grantee
   where x.grantee = 0 or r.rolname in ('anon', 'authenticated', 'service_role')
  union all
  select 'without policies: ' || relname from pg_class
   where relnamespace = to_regnamespace('billing') and relkind in ('r', 'p') and not relrowsecurity
  union all
  select concat_ws(' ', tablename, policyname, permissive, roles, cmd, qual, with_check)
    from pg_policies where schemaname = 'billing'
  union all
  select concat_ws(' ', p.pubname, t.tablename, t.attnames) from pg_publication p
    left join pg_publication_tables t on t.pubname = p.pubname and t.schemaname = 'billing'
   where p.pubname = 'supabase_realtime'
) facts
"""
HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations
  (version text primary key, statements text[], name text);
"""
RECORD = "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)"
FILES = """
create schema if not exists billing;
create table if not exists billing.schema_files (name text primary key, hash text not null);
alter table billing.schema_files enable row level security;
"""
KEEP = "insert into billing.schema_files (name, hash) values (%s, %s)"
Connection = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")


class MigrationError(Exception):
    """A file could not be applied; the message names it and the line. Nothing of its step was kept."""


def apply(dsn: str, root: Path = SQL, report: Callable[[str], None] = print) -> None:
    """Apply everything below `root` that the database lacks, and say what was done."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        _locked(connection, lambda: _bootstrap(connection, root))
        for version, path in _migrations(root).items():
            if _locked(connection, partial(_migrate, connection, version, path)):
                report(f"{_shown(path)}: applied")
        changed = _locked(connection, lambda: _refresh(connection, root))
        for line in changed or ["functions, views, policies and seed are up to date"]:
            report(line)


def statements(text: str) -> Iterator[tuple[int, str]]:
    """The statements of a file, each with the line it starts on, without the comments before it."""
    whole = re.search(r"\bbegin\s+atomic\b", text, re.IGNORECASE)
    ends = [] if whole else [match.end() for match in TOKEN.finditer(text) if match.group() == ";"]
    start = 0
    for end in [*ends, len(text)]:
        blank = BLANK.match(text, start, end)
        begin = blank.end() if blank else start
        if begin < end:
            yield text.count("\n", 0, begin) + 1, text[begin:end].strip()
        start = end


def _locked(connection: Connection, step: Callable[[], T]) -> T:
    """Run a step in one transaction, one at a time; again when a running transaction was in its way.

    The lock belongs to the transaction, so a connection pooler in transaction mode does no harm.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection.transaction():
                connection.execute("set local statement_timeout = 0; set local client_min_messages = warning")
                connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
                connection.execute("select set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
                return step()
        except BUSY:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _bootstrap(connection: Connection, root: Path) -> None:
    for path in sorted((root / "bootstrap").glob("*.sql")):
        _run(connection, path)
    connection.execute(HISTORY)


def _migrations(root: Path) -> dict[str, Path]:
    """The numbered files in order, by their number."""
    found: dict[str, Path] = {}
    for path in sorted((root / "migrations").glob("*.sql")):
        match = VERSION.fullmatch(path.name)
        if match is None or match[1] in found:
            raise MigrationError(f"{_shown(path)}: the name must be NNNN_name.sql with a number of its own")
        found[match[1]] = path
    return found


def _migrate(connection: Connection, version: str, path: Path) -> bool:
    """Apply one numbered file, unless it was; refuse it when it is not what was applied."""
    query = "select statements from supabase_migrations.schema_migrations where version = %s"
    applied = connection.execute(query, [version]).fetchone()
    if applied is None:
        _run(connection, path)
        texts = [statement for _, statement in statements(path.read_text())]
        name = path.stem.removeprefix(f"{version}_")
        connection.execute(RECORD, [version, texts, name])
        return True
    if _essence(";".join(applied[0] or [])) != _essence(path.read_text()):
        message = "changed after it was applied; restore it and write a new migration instead"
        raise MigrationError(f"{_shown(path)}: {message}")
    return False


def _refresh(connection: Connection, root: Path) -> list[str]:
    """Run all re-runnable files if any, or what clients may do, differs from the last time; says what changed."""
    fixed = list(_migrations(root).values())
    files = [path for pattern in REPEATABLE.values() for path in sorted(root.glob(pattern))]
    hashes = {_shown(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in [*fixed, *files]}
    connection.execute(FILES)
    stored = {row[0]: row[1] for row in connection.execute("select name, hash from billing.schema_files")}
    intact = stored.pop("rights", None) == _rights(connection)
    if hashes == stored and intact:
        return []
    before = {row[0]: row[1] for row in connection.execute(DEFINED)}
    # Functions may call one another, so bodies cannot be checked in the order of their names.
    connection.execute("set local check_function_bodies = off")
    kept = {name for path in fixed for name in CREATED.findall(path.read_text())}
    stale: list[str] = []
    for kind, pattern in REPEATABLE.items():
        for path in sorted(root.glob(pattern)):
            _run(connection, path)
        # Now, because the grants in policies.sql touch every function.
        untouched = [row for row in connection.execute(DEFINED) if before.get(row[0]) == row[1]]
        stale = [row[0] for row in untouched if row[0].startswith(kind) and row[2] not in kept] + stale
    for thing in stale:
        _drop(connection, thing)
    connection.execute("delete from billing.schema_files")
    for name, value in hashes.items():
        connection.execute(KEEP, [name, value])
    connection.execute(KEEP, ["rights", _rights(connection)])
    connection.execute("notify pgrst, 'reload schema'")
    changed = [_shown(path) for path in files if stored.get(_shown(path)) != hashes[_shown(path)]]
    dropped = [f"{thing}: dropped, no file creates it any more" for thing in stale]
    restored = [] if intact or not stored else ["grants and policies: restored"]
    return [*(f"{name}: applied" for name in changed), *restored, *dropped]


def _rights(connection: Connection) -> str:
    return str(connection.execute(RIGHTS).fetchall()[0][0])


def _run(connection: Connection, path: Path) -> None:
    """Run a file statement by statement, so that an error can name the line."""
    for line, statement in statements(path.read_text()):
        try:
            _execute(connection, statement)
        except BUSY:
            raise
        except psycopg.Error as error:
            position = int(error.diag.statement_position or 1)
            at = line + statement.count("\n", 0, position - 1)
            raise MigrationError(f"{_shown(path)}:{at}: {str(error).strip()}") from error


def _execute(connection: Connection, statement: str) -> None:
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except REPLACE_REFUSED:
        name = CREATED.match(statement)
        old = [row[0] for row in connection.execute(DEFINED) if name and row[2] == name[1]]
        if not old:
            raise
        for thing in old:
            _drop(connection, thing)
        connection.execute(statement.encode())


def _drop(connection: Connection, thing: str) -> None:
    try:
        connection.execute(f"drop {thing}".encode())
    except errors.DependentObjectsStillExist as error:
        raise MigrationError(f"cannot drop {thing}: {error.diag.message_detail}") from error


def _essence(text: str) -> str:
    """What a file does: its text without comments, blanks and semicolons."""
    kept = TOKEN.sub(lambda match: "" if match.group().startswith(("--", "/*", ";")) else match.group(), text)
    return re.sub(r"\s+", "", kept)


def _shown(path: Path) -> str:
    """A file's name as people know it: sql/functions/spend.sql."""
    parts = path.parts[-2:] if path.parent.name == "sql" else path.parts[-3:]
    return "/".join(parts)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m shared.migrate", description=apply.__doc__)
    parser.add_argument("dsn", help="postgresql://… of the database, as superuser or Supabase's postgres")
    try:
        apply(parser.parse_args().dsn)
    except (MigrationError, psycopg.Error) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
