"""The database seam: which errors become which, what is repeated, and that nothing leaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from local.embedded import Postgres
from shared.db import Json, PostgresDatabase, SupabaseDatabase
from shared.errors import DatabaseUnavailable, RefillError, Refused
from shared.ledger import Ledger
from tests.sql.books import together
from tests.sql.relay import Losing
from tests.support import Database, free_port, wait_until

CREDIT = 1_000_000


@pytest.fixture
def seam(database: Database) -> Iterator[PostgresDatabase]:
    made = PostgresDatabase(database.dsn, pool_size=4)
    yield made
    made.close()


def helper(database: Database, body: str) -> None:
    """A function billing.probe(p_text text) with this body."""
    with database.connect() as connection:
        connection.execute(
            "create table if not exists billing.probes (note text, row_xid xid8 default pg_current_xact_id());"
            "create or replace function billing.probe(p_text text) returns jsonb language plpgsql"
            f" set search_path = '' as $$ begin {body} return '1'::jsonb; end $$".encode()
        )


RAISED: list[tuple[str, type[RefillError], str]] = [
    ("RF001", Refused, "unknown_account"),
    ("RF002", Refused, "insufficient_credits"),
    ("RF015", Refused, "append_only"),
    ("22003", Refused, "invalid_value"),
    ("22P02", Refused, "invalid_value"),
    ("23502", Refused, "invalid_value"),
    ("23514", Refused, "invalid_value"),
    ("22009", Refused, "invalid_value"),
    ("54000", Refused, "invalid_value"),
]
# Nobody's fault but the database's, or of nobody knows whom: never the caller's.
UNAVAILABLE = [
    "25006", "42883", "42501", "58030", "XX000", "XX001", "25P03", "26000", "42P05", "0A000", "72000", "40000", "40003",
    "57014", "57P05", "RF999", "23505", "22012", "3F000", "42P01", "58P01", "P0001", "F0000",
]  # fmt: skip


@pytest.mark.parametrize(("sqlstate", "kind", "code"), RAISED)
def test_a_sqlstate_becomes_its_error(
    database: Database, seam: PostgresDatabase, sqlstate: str, kind: type[RefillError], code: str
) -> None:
    helper(database, f"raise exception using errcode = '{sqlstate}', message = 'a sentence';")
    with pytest.raises(RefillError) as caught:
        seam.call("probe", p_text="x")
    assert type(caught.value) is kind
    assert caught.value.code == code


@pytest.mark.parametrize("sqlstate", UNAVAILABLE)
def test_whatever_is_not_the_callers_fault_is_unavailable(
    database: Database, seam: PostgresDatabase, sqlstate: str
) -> None:
    helper(
        database,
        "insert into billing.probes (note) values (p_text);"
        f"raise exception using errcode = '{sqlstate}', message = 'a sentence';",
    )
    with pytest.raises(DatabaseUnavailable) as caught:
        seam.call("probe", p_text="x")
    assert (caught.value.code, caught.value.status) == ("database_unavailable", 503)
    assert caught.value.sqlstate == sqlstate
    assert "a sentence" not in caught.value.detail, "what the database says of itself is not for callers"
    with database.connect() as connection:
        assert connection.execute("select count(*) from billing.probes").fetchone() == (0,)


def test_facts_of_a_refusal_travel_in_its_detail(database: Database, seam: PostgresDatabase) -> None:
    helper(database, """raise exception using errcode = 'RF002', message = 'm', detail = '{"needed": 5}';""")
    with pytest.raises(Refused) as caught:
        seam.call("probe", p_text="x")
    assert (caught.value.extra, caught.value.detail) == ({"needed": 5}, "m")


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("40000", "40001", "40003", "40P01", "55P03", "57P01", "57P03", "53300", "08006", "72000"),
        *("25006", "25P03", "26000", "42P05", "0A000"),
    ],
)
def test_what_may_pass_is_tried_again_and_has_one_effect(
    database: Database, seam: PostgresDatabase, sqlstate: str
) -> None:
    """The first two tries fail and are rolled back."""
    with database.connect() as connection:
        connection.execute("create sequence billing.tries")
    helper(
        database,
        "insert into billing.probes (note) values (p_text);"
        f"if nextval('billing.tries') < 3 then raise exception using errcode = '{sqlstate}'; end if;",
    )
    assert seam.call("probe", p_text="x") == 1
    with database.connect() as connection:
        assert connection.execute("select count(*) from billing.probes").fetchone() == (1,)


def test_what_never_passes_ends_as_unavailable(database: Database, seam: PostgresDatabase) -> None:
    helper(database, "raise exception using errcode = '40001';")
    with pytest.raises(DatabaseUnavailable):
        seam.call("probe", p_text="x")


def test_a_deadlock_is_resolved_by_trying_again(database: Database, seam: PostgresDatabase) -> None:
    """No. 67: two calls take two locks in opposite order; each waits until the other has its first one."""
    helper(
        database,
        "perform pg_advisory_xact_lock(case p_text when 'a' then 1 else 2 end);"
        "perform pg_sleep(0.3);"
        "perform pg_advisory_xact_lock(case p_text when 'a' then 2 else 1 end);"
        "insert into billing.probes (note) values (p_text);",
    )
    assert together(2, lambda number: seam.call("probe", p_text="ab"[number])) == [1, 1]
    with database.connect() as connection:
        assert connection.execute(
            "select string_agg(note, '' order by note) from billing.probes"
        ).fetchone() == ("ab",)
        connection.execute("select pg_stat_force_next_flush()")
        assert connection.execute(
            "select deadlocks from pg_stat_database where datname = current_database()"
        ).fetchone() != (0,)


def test_a_call_whose_answer_was_lost_is_repeated_with_one_effect(database: Database) -> None:
    """No. 33: the transaction was committed; the connection broke before the answer came."""
    relay = Losing(database.dsn)
    seam = PostgresDatabase(relay.dsn, pool_size=1)
    ledger = Ledger(seam)
    ledger.open_account("a", "A", None, None, 100 * CREDIT, "test")
    relay.lose = True
    answer = ledger.spend_credits("a", {"id": "e1", "amount": 30 * CREDIT})
    assert relay.lost == 1
    assert answer["replayed"]
    assert ledger.get_balance("a")["available"] == 70 * CREDIT
    seam.close()
    relay.close()


def test_calls_go_on_after_the_server_was_restarted_under_a_full_pool(own_postgres: Postgres) -> None:
    """Every idle connection is dead then, and there are more of them than tries."""
    seam = PostgresDatabase(own_postgres.url, pool_size=8)
    ledger = Ledger(seam)
    ledger.open_account("a", "A", None, None, 100 * CREDIT, "test")
    barrier = threading.Barrier(8)

    def spend(number: int) -> Any:
        barrier.wait(timeout=20)
        return [ledger.spend_credits("a", {"id": f"{number}.{k}", "amount": CREDIT}) for k in range(3)]

    assert not [answer for answer in together(8, spend) if isinstance(answer, Exception)]
    idle = seam._pool.get_stats()["pool_available"]
    assert idle > 4
    own_postgres.restart()
    assert ledger.spend_credits("a", {"id": "after", "amount": CREDIT})["available"] == 75 * CREDIT
    own_postgres.kill()
    own_postgres.start()
    assert ledger.spend_credits("a", {"id": "after", "amount": CREDIT})["replayed"]
    seam.close()


def test_a_server_that_is_away_is_told_within_seconds() -> None:
    seam = PostgresDatabase(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    started = time.monotonic()
    for call in (lambda: seam.call("list_packages"), seam.ping):
        with pytest.raises(DatabaseUnavailable):
            call()
    assert time.monotonic() - started < 15
    seam.close()


def test_a_process_may_start_before_the_database_does(own_postgres: Postgres) -> None:
    own_postgres.stop()
    seam = PostgresDatabase(own_postgres.url)
    with pytest.raises(DatabaseUnavailable):
        seam.ping()
    own_postgres.start()

    def answers() -> bool:
        try:
            seam.ping()
        except DatabaseUnavailable:
            return False
        return True

    wait_until(answers, timeout=40)
    assert len(seam.call("list_packages")) == 3
    seam.close()


def test_the_pool_holds_no_more_connections_than_it_may_and_none_open_in_a_transaction(
    database: Database, seam: PostgresDatabase
) -> None:
    ledger = Ledger(seam)
    ledger.open_account("a", "A", None, None, 10 * CREDIT, "test")

    def work(number: int) -> None:
        for k in range(20):
            try:
                ledger.spend_credits("a", {"id": f"{number}.{k}", "amount": CREDIT})
            except Refused:
                continue

    assert together(16, work) == [None] * 16
    with database.connect() as connection:
        rows = connection.execute(
            "select count(*), count(*) filter (where state <> 'idle') from pg_stat_activity"
            " where application_name = 'refill' and datname = current_database()"
        ).fetchone()
    assert rows is not None
    assert rows[0] <= 4
    assert rows[1] == 0
    stats = seam._pool.get_stats()
    assert stats["pool_available"] == stats["pool_size"]


def test_arguments_are_values_and_never_sql(database: Database, seam: PostgresDatabase) -> None:
    helper(database, "insert into billing.probes (note) values (p_text);")
    text = "'); drop table billing.probes; --"
    seam.call("probe", p_text=text)
    with pytest.raises(RefillError):
        seam.call('probe"; drop table billing.probes; --', p_text="x")
    with pytest.raises(RefillError):
        seam.call("probe", **{'p_text" => 1); drop table billing.probes; --': "x"})
    with database.connect() as connection:
        assert connection.execute("select note from billing.probes").fetchall() == [(text,)]


def test_a_value_that_cannot_be_sent_is_invalid_and_not_an_outage(seam: PostgresDatabase) -> None:
    for text in ("\0", "\ud800"):
        with pytest.raises(Refused) as caught:
            seam.call("get_account", p_account_id=text)
        assert caught.value.code == "invalid_value"
    with pytest.raises(Refused):
        seam.call("record_usage", p_events=Json({"not": "an array"}), p_account_id="a", p_park=False)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad gateway</html>"),
        (503, b'{"message": "away"}'),
        (504, b""),
        (503, b'{"code": "PGRST002", "message": "m"}'),
    ],
)
def test_whatever_stands_before_postgrest_may_fail_in_its_own_words(status: int, body: bytes) -> None:
    calls: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    seam = SupabaseDatabase(f"http://127.0.0.1:{server.server_port}", "sb_secret_x")
    with pytest.raises(DatabaseUnavailable):
        seam.call("list_packages")
    assert len(calls) == 4
    server.shutdown()
    server.server_close()


def test_a_supabase_that_is_away_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        SupabaseDatabase(f"http://127.0.0.1:{free_port()}", "sb_secret_x").ping()


def test_during_an_outage_only_the_first_call_waits_long() -> None:
    """Sixteen threads that each wait for seconds would be a whole web process."""
    database = PostgresDatabase(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    waits = []
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            database.call("list_packages")
        waits.append(time.monotonic() - started)
    database.close()
    assert waits[1] < waits[0] / 4
