"""The fixtures that every other test stands on."""

import sys
from pathlib import Path

import pytest
import redis

from tests.support import Database, Proc, wait_until


@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_gets_an_empty_migrated_database_of_its_own(database: Database, attempt: int) -> None:
    """What one test writes, the next one does not see."""
    with database.connect() as connection:
        names = {row[0] for row in connection.execute("select nspname from pg_namespace")}
        assert {"billing", "auth"} <= names
        assert connection.execute("select to_regclass('public.mine')").fetchone() == (None,)
        connection.execute("create table public.mine ()")


@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_gets_an_empty_redis(redis_url: str, attempt: int) -> None:
    """What one test writes, the next one does not see."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("mine", attempt)


def test_the_version_asked_for_is_the_one_that_runs(database: Database, pg_version: int) -> None:
    """`pytest --pg 16` means PostgreSQL 16."""
    with database.connect() as connection:
        row = connection.execute("select current_setting('server_version_num')::int / 10000").fetchone()
    assert row == (pg_version,)


def test_a_member_is_known_to_policies(database: Database) -> None:
    """`acting_as` sets what PostgREST sets."""
    member = "7f2c1b52-6f3c-4f6e-9a53-0a2a5d8f6f10"
    with database.acting_as("authenticated", {"sub": member}) as connection:
        row = connection.execute("select current_user, auth.uid()::text, auth.role()").fetchone()
    assert row == ("authenticated", member, "authenticated")


def test_a_process_is_watched_killed_and_its_end_explained(tmp_path: Path) -> None:
    """Output is kept, kill is -9, and waiting for a line of a dead process fails at once."""
    server = Proc("http.server", "0", "--bind", "127.0.0.1", env={}, log=tmp_path / "log")
    with server:
        port = int(server.wait_for_line(r"port (\d+)")[1])
        server.wait_for_port(port)
        server.kill()
        assert server.returncode == 128 + 9
        with pytest.raises(AssertionError, match="ended with 137 before output"):
            server.wait_for_line("never")


def test_a_process_gets_only_the_settings_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings do not change what a test does."""
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_of_the_developer")
    with Proc("tests.embedded.environment", env={"ASKED": "yes"}, log=tmp_path / "log") as shown:
        assert shown.wait() == 0
    assert "ASKED=yes" in shown.output
    assert "sk_of_the_developer" not in shown.output
    assert sys.executable == shown.command[0]


def test_waiting_says_what_it_waited_for() -> None:
    """A timeout names the condition and its last result."""
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the tide; last result: 0"):
        wait_until(lambda: 0, timeout=0.01, message="the tide")
