"""`make services`: the settings it writes work, stay, and everything ends together."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from local.embedded import listening
from local.services import Services
from shared import settings
from tests.support import Proc, wait_until

Start = Callable[[], Proc]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Makes `python -m local.services` in a directory of the test's own."""
    options = [f"--directory={tmp_path / 'data'}", f"--env-file={tmp_path / 'services.env'}"]
    return lambda: Proc("local.services", *options, env={}, log=tmp_path / "services.log")


def written(tmp_path: Path) -> dict[str, str]:
    """The settings in the file."""
    lines = (tmp_path / "services.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_settings_written_are_valid_and_stay(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refill accepts them; Ctrl-C ends everything; the next start has the same ports, keys and data."""
    with start() as first:
        first.wait_for_line("settings are in")
        found = written(tmp_path)
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        assert settings.load().environment == "local"
        with psycopg.connect(found["DATABASE_URL"]) as connection:
            connection.execute("create table kept ()")
        first.signal(signal.SIGINT)
        assert first.wait() == 0
        assert not (tmp_path / "services.env").exists()
    with start() as second:
        second.wait_for_line(r"settings are in(.|\n)*settings are in")
        assert written(tmp_path) == found
        with psycopg.connect(found["DATABASE_URL"]) as connection:
            assert connection.execute("select to_regclass('kept')").fetchone() == ("kept",)


def test_it_ends_with_a_sentence_when_one_of_them_ends(start: Start, tmp_path: Path) -> None:
    """Half a set of services would only confuse."""
    with start() as services:
        services.wait_for_line("settings are in")
        with redis.Redis.from_url(written(tmp_path)["REDIS_URL"]) as client:
            client.shutdown(nosave=True)
        assert services.wait() == 1
        assert "services: Redis ended; logs are in" in services.output


def test_nothing_runs_on_when_it_is_killed(start: Start) -> None:
    """SIGKILL, as by a terminal that is closed or a supervisor that lost patience."""
    with start() as services:
        services.wait_for_line("settings are in")
        guards = psutil.Process(services.pid).children()
        assert len(guards) == 4
        services.signal(signal.SIGKILL)
        wait_until(lambda: not psutil.wait_procs(guards, timeout=1)[1], 20, "the end of the four servers")


def test_temporary_services_leave_nothing() -> None:
    """Without a directory, as tests and the demo use them; a killed Stripe comes back on its port."""
    with Services(durable=False) as services:
        assert services.stripe is not None
        services.stripe.kill()
        assert not listening(services.stripe_port)
        services.start_stripe()
        services.check()
        places = [services.directory, services.postgres.directory, services.redis.directory]
        assert all(place.exists() for place in places)
    assert not any(place.exists() for place in places)
