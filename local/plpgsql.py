"""What the extension plpgsql_check finds in the functions: names that do not exist, wrong types, unused variables.

PostgreSQL looks up the names in a PL/pgSQL statement when the statement first runs, so a branch that no test takes may
name a column that is gone. The extension is in the system's package postgresql-VERSION-plpgsql-check, not in the wheel.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg

from local.embedded import Postgres
from local.embedded.postgres import DEBIAN, INSTALLATIONS
from shared import migrate

ADVICE = (
    "PL/pgSQL not checked: that needs PostgreSQL 15 or 17 with plpgsql_check from the system's packages"
    " (Debian 12: apt-get install postgresql-15-plpgsql-check)"
)
# Trigger functions are checked against each table that they are for. 42804 is a hint about casts. "never read" is how a
# function locks a row that it does not need: v_account … := billing._lock_account(…). Dynamic SQL it cannot look into.
FINDINGS = """
select p.proname, f.lineno, f.level, f.message, f.detail, f.hint
  from pg_catalog.pg_proc p
  join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
  left join pg_catalog.pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal,
       lateral plpgsql_check_function_tb(
         p.oid, coalesce(t.tgrelid, 0), fatal_errors => false, other_warnings => true,
         performance_warnings => false, extra_warnings => true, security_warnings => true) f
 where p.pronamespace in ('billing'::regnamespace, 'auth'::regnamespace)
   and (p.prorettype <> 'trigger'::regtype or t.oid is not null)
   and (f.level = 'error' or f.sqlstate <> '42804')
   and f.message not like all (array['never read variable%', 'cannot determinate%'])
 order by p.proname, f.lineno
"""


def installed(debian: Path = DEBIAN) -> int | None:
    """The newest PostgreSQL with the extension among those that the wheel does not have."""
    found = {path.parent.parent.name for path in debian.glob("*/lib/plpgsql_check.so")}
    return max({int(name) for name in found if name.isdigit()} - set(INSTALLATIONS), default=None)


def findings(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[str]:
    """One text for each finding in the functions of a migrated database."""
    connection.execute("create extension if not exists plpgsql_check")
    for name, line, level, message, *more in connection.execute(FINDINGS):
        text = "; ".join(str(part) for part in (message, *more) if part)
        yield textwrap.shorten(f"{name}, line {line} of its body: {level}: {text}", 400)


def main(arguments: list[str]) -> int:
    """Check a fresh database. Without the extension: 1 with --required, else 0 and a line that says so."""
    version = installed()
    if version is None:
        print(ADVICE, file=sys.stderr)
        return 1 if "--required" in arguments else 0
    with Postgres(version=version, durable=False) as server:
        migrate.apply(server.url, report=lambda _line: None)
        with psycopg.connect(server.url, autocommit=True) as connection:
            found = list(findings(connection))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
