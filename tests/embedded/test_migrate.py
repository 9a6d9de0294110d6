"""shared/migrate.py on files of its own: once each, refused when changed, safe when many run."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared import migrate
from tests.support import Database, Proc

BOOTSTRAP = migrate.SQL / "bootstrap"
HELLO = "create or replace function billing.{}() returns int language sql return {};"


class Tree:
    """A folder `sql` with a migration, a function, a view, a policy and a seed."""

    def __init__(self, root: Path) -> None:
        self.root = root / "sql"
        self.root.mkdir()
        (self.root / "bootstrap").symlink_to(BOOTSTRAP)
        self.write(
            "migrations/0001_first.sql",
            "create schema billing;\ncreate table billing.things (id int primary key);",
        )
        self.write("functions/one.sql", HELLO.format("one", 1))
        self.write("functions/two.sql", HELLO.format("two", 2))
        self.write(
            "views/all_things.sql",
            "create or replace view billing.all_things as select id from billing.things;",
        )
        self.write(
            "policies.sql",
            "alter table billing.things enable row level security;\n"
            "drop policy if exists nobody on billing.things;\n"
            "create policy nobody on billing.things using (false);\n"
            "revoke execute on all functions in schema billing from public;",
        )
        self.write("seed/things.sql", "insert into billing.things values (1) on conflict do nothing;")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def apply(self, dsn: str) -> list[str]:
        """What `apply` reports."""
        lines: list[str] = []
        migrate.apply(dsn, self.root, lines.append)
        return lines


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def ask(database: Database, query: str) -> Any:
    """The first value of a query."""
    with database.connect() as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


def test_everything_is_applied_in_order_and_then_nothing(tree: Tree, empty_database: Database) -> None:
    """The second run changes nothing and says so."""
    assert tree.apply(empty_database.dsn) == [
        "sql/migrations/0001_first.sql: applied",
        "sql/functions/one.sql: applied",
        "sql/functions/two.sql: applied",
        "sql/views/all_things.sql: applied",
        "sql/policies.sql: applied",
        "sql/seed/things.sql: applied",
    ]
    assert tree.apply(empty_database.dsn) == ["functions, views, policies and seed are up to date"]
    assert ask(empty_database, "select billing.one() + billing.two() + count(*) from billing.all_things") == 4


def test_the_schema_of_this_checkout_applies_twice(empty_database: Database) -> None:
    """The real files, and the roles that Supabase would have."""
    lines: list[str] = []
    migrate.apply(empty_database.dsn, report=lines.append)
    assert lines
    migrate.apply(empty_database.dsn, report=lines.append)
    assert lines[-1] == "functions, views, policies and seed are up to date"
    roles = "select count(*) from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"
    assert ask(empty_database, roles) == 3


def test_the_history_is_the_supabase_clis(tree: Tree, empty_database: Database) -> None:
    """Version, statements and name in the table where the CLI looks for them."""
    tree.apply(empty_database.dsn)
    with empty_database.connect() as connection:
        rows = connection.execute(
            "select version, name, statements from supabase_migrations.schema_migrations"
        ).fetchall()
    assert rows == [
        ("0001", "first", ["create schema billing;", "create table billing.things (id int primary key);"])
    ]


def test_a_changed_migration_is_refused(tree: Tree, empty_database: Database) -> None:
    """An applied file is immutable, except for comments and blanks."""
    tree.apply(empty_database.dsn)
    applied = "create schema billing;\n\n-- explained\ncreate table billing.things (id int primary key);"
    tree.write("migrations/0001_first.sql", applied)
    tree.apply(empty_database.dsn)
    tree.write("migrations/0001_first.sql", applied.replace("int", "bigint"))
    with pytest.raises(migrate.MigrationError, match=r"^sql/migrations/0001_first.sql: changed after it was"):
        tree.apply(empty_database.dsn)


def test_an_error_names_file_and_line_and_leaves_nothing(tree: Tree, empty_database: Database) -> None:
    """Also when PostgreSQL gives no position, as for a constraint."""
    tree.apply(empty_database.dsn)
    tree.write("migrations/0002_wrong.sql", "create table billing.more ();\n\n-- why\nselect 1,\n  nothing;")
    with pytest.raises(
        migrate.MigrationError, match=r'^sql/migrations/0002_wrong.sql:5: column "nothing" does'
    ):
        tree.apply(empty_database.dsn)
    tree.write(
        "migrations/0002_wrong.sql", "create table billing.more ();\n\ninsert into billing.things values (1);"
    )
    with pytest.raises(migrate.MigrationError, match=r"^sql/migrations/0002_wrong.sql:3: duplicate key"):
        tree.apply(empty_database.dsn)
    assert ask(empty_database, "select to_regclass('billing.more')") is None


def test_a_changed_function_runs_all_again_with_its_grants(tree: Tree, empty_database: Database) -> None:
    """A function that is dropped to change its result is never left open to the public."""
    tree.apply(empty_database.dsn)
    tree.write(
        "functions/one.sql", "create or replace function billing.one() returns text language sql return 'I';"
    )
    assert tree.apply(empty_database.dsn) == ["sql/functions/one.sql: applied"]
    assert ask(empty_database, "select billing.one()") == "I"
    assert ask(empty_database, "select has_function_privilege('anon', 'billing.one()', 'execute')") is False


def test_what_no_file_creates_any_more_is_dropped(tree: Tree, empty_database: Database) -> None:
    """A function without a file, an old overload, a view, a policy; not what a migration created."""
    tree.write(
        "migrations/0002_kept.sql", "create function billing.kept() returns int language sql return 0;"
    )
    tree.apply(empty_database.dsn)
    tree.remove("functions/two.sql")
    tree.remove("views/all_things.sql")
    tree.write("functions/one.sql", HELLO.format("one", 1).replace("()", "(factor int)"))
    tree.write("policies.sql", "revoke execute on all functions in schema billing from public;")
    assert tree.apply(empty_database.dsn) == [
        "sql/functions/one.sql: applied",
        "sql/policies.sql: applied",
        "policy nobody on billing.things: dropped, no file creates it any more",
        "view billing.all_things: dropped, no file creates it any more",
        "routine billing.one(): dropped, no file creates it any more",
        "routine billing.two(): dropped, no file creates it any more",
    ]
    remaining = "select string_agg(oid::regprocedure::text, ' ' order by 1) from pg_proc"
    where = " where pronamespace = 'billing'::regnamespace"
    assert ask(empty_database, f"{remaining.replace('order by 1', 'order by proname')}{where}") == (
        "billing.kept() billing.one(integer)"
    )


def test_a_view_may_lose_a_column(tree: Tree, empty_database: Database) -> None:
    """`create or replace view` alone refuses that."""
    wide = "create or replace view billing.all_things as select id, 1 as extra from billing.things;"
    tree.write("views/all_things.sql", wide)
    tree.apply(empty_database.dsn)
    tree.write(
        "views/all_things.sql", "create or replace view billing.all_things as select id from billing.things;"
    )
    assert tree.apply(empty_database.dsn) == ["sql/views/all_things.sql: applied"]


def test_a_failing_function_keeps_the_old_ones(tree: Tree, empty_database: Database) -> None:
    """Functions, views, policies and seed change together or not at all."""
    tree.apply(empty_database.dsn)
    tree.write("functions/one.sql", HELLO.format("one", 100))
    tree.write("seed/things.sql", "insert into billing.things values (1);")
    with pytest.raises(migrate.MigrationError, match=r"^sql/seed/things.sql:1: duplicate key"):
        tree.apply(empty_database.dsn)
    assert ask(empty_database, "select billing.one()") == 1


def test_twenty_at_once_apply_everything_once(tree: Tree, empty_database: Database) -> None:
    """Exactly one of them applies the migration, and none fails."""
    tree.write("migrations/0002_slow.sql", "create table billing.slow ();\nselect pg_sleep(0.2);")
    with ThreadPoolExecutor(20) as pool:
        reports = list(pool.map(lambda _: tree.apply(empty_database.dsn), range(20)))
    said = [line for report in reports for line in report]
    assert said.count("sql/migrations/0002_slow.sql: applied") == 1
    assert said.count("sql/functions/one.sql: applied") == 1
    assert ask(empty_database, "select count(*) from supabase_migrations.schema_migrations") == 2


def test_a_migration_waits_for_a_running_transaction(
    tree: Tree, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the queue of locks after a while, so that nobody waits behind it for long."""
    tree.apply(empty_database.dsn)
    tree.write("migrations/0002_wide.sql", "alter table billing.things add column note text;")
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    with empty_database.connect(autocommit=False) as busy:
        busy.execute("select * from billing.things")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            tree.apply(empty_database.dsn)
    assert "sql/migrations/0002_wide.sql: applied" in tree.apply(empty_database.dsn)


@pytest.mark.parametrize("name", ["2_short.sql", "0001_second.sql"])
def test_file_names_have_a_number_of_their_own(tree: Tree, empty_database: Database, name: str) -> None:
    """A misnamed file is an error, never silently skipped."""
    tree.write(f"migrations/{name}", "select 1;")
    with pytest.raises(migrate.MigrationError, match=f"^sql/migrations/{name}: the name must be"):
        tree.apply(empty_database.dsn)


def test_nothing_happens_to_what_supabase_has(tree: Tree, empty_database: Database) -> None:
    """On Supabase `auth.uid()` exists; the bootstrap leaves it alone."""
    with empty_database.connect() as connection:
        connection.execute("create schema auth")
        connection.execute("create function auth.uid() returns uuid language sql return gen_random_uuid()")
    tree.apply(empty_database.dsn)
    assert ask(empty_database, "select auth.uid() is not null") is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1; select 2", [(1, "select 1;"), (1, "select 2")]),
        ("-- only; a comment\n", []),
        ("-- a;\n/* b; */\nselect ';' ;\n", [(3, "select ';' ;")]),
        ("do $x$ begin; end $x$;\nselect $$;$$;", [(1, "do $x$ begin; end $x$;"), (2, "select $$;$$;")]),
        (r"select e'\';' ; select 1;", [(1, r"select e'\';' ;"), (1, "select 1;")]),
        ('select 1 as ";";', [(1, 'select 1 as ";";')]),
        (
            "create function f() begin atomic select 1; end; select 2;",
            [(1, "create function f() begin atomic select 1; end; select 2;")],
        ),
    ],
)
def test_statements_are_found_with_their_lines(text: str, expected: list[tuple[int, str]]) -> None:
    """Semicolons in strings, names, bodies and comments do not end a statement."""
    assert list(migrate.statements(text)) == expected


def test_the_command_says_what_is_wrong(empty_database: Database, tmp_path: Path) -> None:
    """Exit status 1 and one line when the database is away; 0 when all is done."""
    with Proc("shared.migrate", "postgresql://127.0.0.1:1/none", env={}, log=tmp_path / "away") as away:
        assert away.wait() == 1
        assert "migrate: " in away.output
        assert "Traceback" not in away.output
    with Proc("shared.migrate", empty_database.dsn, env={}, log=tmp_path / "done") as done:
        assert done.wait() == 0, sys.version
