"""PostgreSQL, Redis, the local Stripe and the local Supabase Auth, and the settings that a Refill beside them needs.

`python -m local.services` runs them in the foreground and writes `.local/services.env`; others use `Services`
as a context manager::

    with Services(web_port=8000) as services:
        environment = services.settings
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local.embedded import EmbeddedError, Guarded, Postgres, Redis, free_port, listening

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 30.0
WATCH_SECONDS = 1.0
SECRETS = {
    "app": "",
    "stripe": "sk_test_",
    "publishable": "pk_test_",
    "webhook": "whsec_",
    "supabase_publishable": "sb_publishable_",
    "supabase_secret": "sb_secret_",
}


class Services:
    """The four servers. In a directory, data, ports and keys stay the same from one start to the next.

    Without a directory everything is temporary.
    """

    def __init__(self, directory: Path | None = None, web_port: int = 8000, *, durable: bool = True) -> None:
        self._temporary = directory is None
        self.directory = (directory or Path(tempfile.mkdtemp(prefix="refill-services-"))).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.web_port = web_port
        self._memory = self.directory / "services.json"
        remembered = json.loads(self._memory.read_text()) if self._memory.exists() else {}
        ports = {name: port for name, port in remembered.get("ports", {}).items() if not listening(port)}
        fresh = {name: prefix + secrets.token_hex(24) for name, prefix in SECRETS.items()}
        self._keys: dict[str, str] = fresh | remembered.get("keys", {})
        self.postgres = Postgres(self._place("postgres"), ports.get("postgres"), durable=durable)
        self.redis = Redis(self._place("redis"), ports.get("redis"))
        self.stripe_port: int = ports.get("stripe") or free_port()
        self.stripe: Guarded | None = None
        self.supabase_port: int = ports.get("supabase") or free_port()
        self.supabase: Guarded | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The environment of web, workers and scheduler."""
        return {
            "REFILL_ENV": "local",
            "PORT": str(self.web_port),
            "BASE_URL": f"http://localhost:{self.web_port}",
            "SECRET_KEY": self._keys["app"],
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "STRIPE_API_BASE": f"http://{HOST}:{self.stripe_port}",
            "STRIPE_SECRET_KEY": self._keys["stripe"],
            "STRIPE_PUBLISHABLE_KEY": self._keys["publishable"],
            "STRIPE_WEBHOOK_SECRET": self._keys["webhook"],
            "SUPABASE_URL": f"http://{HOST}:{self.supabase_port}",
            "SUPABASE_PUBLISHABLE_KEY": self._keys["supabase_publishable"],
            "SUPABASE_OAUTH_PROVIDERS": "github",
        }

    def start(self) -> Self:
        """Start all of them and wait until they answer."""
        self.postgres.start()
        self.redis.start()
        self.start_stripe()
        self.start_supabase()
        ports = {
            "postgres": self.postgres.port,
            "redis": self.redis.port,
            "stripe": self.stripe_port,
            "supabase": self.supabase_port,
        }
        self._memory.touch(mode=0o600)
        self._memory.write_text(json.dumps({"ports": ports, "keys": self._keys}))
        return self

    def start_stripe(self) -> None:
        """Start the local Stripe, also again after it was killed; its state is in a file."""
        options = {
            "port": self.stripe_port,
            # The origin of STRIPE_API_BASE, which the pages' policy lets a form lead to.
            "public-url": f"http://{HOST}:{self.stripe_port}",
            "merchant": "Refill",
            "webhook-url": f"http://{HOST}:{self.web_port}/api/webhooks/stripe",
            "webhook-secret": self._keys["webhook"],
            "state": self.directory / "stripe-state",
        }
        self.stripe = self._serve("stripe", self.stripe_port, options)

    def start_supabase(self) -> None:
        """Start the local Supabase Auth, also again after it was killed; its state is in a file."""
        options = {
            "port": self.supabase_port,
            "site-url": f"http://localhost:{self.web_port}",
            "publishable-key": self._keys["supabase_publishable"],
            "secret-key": self.supabase_secret_key,
            "state": self.directory / "supabase-state.json",
        }
        self.supabase = self._serve("supabase", self.supabase_port, options)

    @property
    def supabase_secret_key(self) -> str:
        """What creates users at the local Supabase. No setting: with it Refill could mean the data API."""
        return self._keys["supabase_secret"]

    def _serve(self, name: str, port: int, options: Mapping[str, object]) -> Guarded:
        """Run a server of this package until this process ends, and wait until it listens."""
        log = self.directory / f"{name}.log"
        process = Guarded(
            [sys.executable, "-m", f"local.{name}", *(f"--{key}={value}" for key, value in options.items())],
            log,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            remove=self.directory if self._temporary else None,
        )
        deadline = time.monotonic() + START_SECONDS
        while not listening(port):
            if not process.running or time.monotonic() > deadline:
                output = log.read_text(errors="replace")[-2000:]
                raise EmbeddedError(f"the local {name.capitalize()} did not start on port {port}:\n{output}")
            time.sleep(0.05)
        return process

    def check(self) -> None:
        """Raise EmbeddedError when one of them has ended."""
        running = {
            "PostgreSQL": self.postgres.running,
            "Redis": self.redis.running,
            "the local Stripe": self.stripe is not None and self.stripe.running,
            "the local Supabase": self.supabase is not None and self.supabase.running,
        }
        ended = [name for name, runs in running.items() if not runs]
        if ended:
            raise EmbeddedError(f"{' and '.join(ended)} ended; logs are in {self.directory}")

    def stop(self) -> None:
        """Stop all of them, and delete what is temporary."""
        for server in (self.stripe, self.supabase):
            if server is not None:
                server.stop()
        self.redis.close()
        self.postgres.close()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def _place(self, name: str) -> Path | None:
        return None if self._temporary else self.directory / name


def main() -> int:
    """Run the servers until Ctrl-C, or until one of them ends."""
    parser = argparse.ArgumentParser(prog="python -m local.services", description=main.__doc__)
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".local" / "services", help="where data is kept"
    )
    parser.add_argument("--env-file", type=Path, default=ROOT / ".local" / "services.env")
    parser.add_argument("--web-port", type=int, default=8000, help="where web will listen, for webhooks")
    options = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    try:
        with Services(options.directory, options.web_port) as services:
            write_env(options.env_file, services.settings)
            print(f"settings are in {options.env_file}; Ctrl-C stops everything", flush=True)
            while not stopped.wait(WATCH_SECONDS):
                services.check()
    except EmbeddedError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    finally:
        options.env_file.unlink(missing_ok=True)
    return 0


def write_env(path: Path, settings: dict[str, str]) -> None:
    """Write settings so that a shell and a Procfile runner can read them, for the owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


if __name__ == "__main__":
    raise SystemExit(main())
