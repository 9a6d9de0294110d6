"""PostgreSQL, Redis and the local Stripe, and the settings that a Refill beside them needs.

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
from pathlib import Path
from typing import Self

from local.embedded import EmbeddedError, Guarded, Postgres, Redis, free_port, listening

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
STRIPE_START_SECONDS = 30.0
WATCH_SECONDS = 1.0
SECRETS = {"app": "", "stripe": "sk_test_", "publishable": "pk_test_", "webhook": "whsec_"}


class Services:
    """The three servers. In a directory, data, ports and keys stay the same from one start to the next.

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
        self._keys: dict[str, str] = remembered.get("keys") or {
            name: prefix + secrets.token_hex(24) for name, prefix in SECRETS.items()
        }
        self.postgres = Postgres(self._place("postgres"), ports.get("postgres"), durable=durable)
        self.redis = Redis(self._place("redis"), ports.get("redis"))
        self.stripe_port: int = ports.get("stripe") or free_port()
        self.stripe: Guarded | None = None

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
        }

    def start(self) -> Self:
        """Start all three and wait until they answer."""
        self.postgres.start()
        self.redis.start()
        self.start_stripe()
        ports = {"postgres": self.postgres.port, "redis": self.redis.port, "stripe": self.stripe_port}
        self._memory.touch(mode=0o600)
        self._memory.write_text(json.dumps({"ports": ports, "keys": self._keys}))
        return self

    def start_stripe(self) -> None:
        """Start the local Stripe, also again after it was killed; its state is in a file."""
        log = self.directory / "stripe.log"
        options = {
            "port": self.stripe_port,
            # The origin of STRIPE_API_BASE, which the pages' policy lets a form lead to.
            "public-url": f"http://{HOST}:{self.stripe_port}",
            "merchant": "Refill",
            "webhook-url": f"http://{HOST}:{self.web_port}/api/webhooks/stripe",
            "webhook-secret": self._keys["webhook"],
            "state": self.directory / "stripe-state",
        }
        self.stripe = Guarded(
            [sys.executable, "-m", "local.stripe", *(f"--{name}={value}" for name, value in options.items())],
            log,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            remove=self.directory if self._temporary else None,
        )
        deadline = time.monotonic() + STRIPE_START_SECONDS
        while not listening(self.stripe_port):
            if not self.stripe.running or time.monotonic() > deadline:
                output = log.read_text(errors="replace")[-2000:]
                raise EmbeddedError(f"the local Stripe did not start on port {self.stripe_port}:\n{output}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise EmbeddedError when one of them has ended."""
        stripe = self.stripe is not None and self.stripe.running
        running = {
            "PostgreSQL": self.postgres.running,
            "Redis": self.redis.running,
            "the local Stripe": stripe,
        }
        ended = [name for name, runs in running.items() if not runs]
        if ended:
            raise EmbeddedError(f"{' and '.join(ended)} ended; logs are in {self.directory}")

    def stop(self) -> None:
        """Stop all of them, and delete what is temporary."""
        if self.stripe is not None:
            self.stripe.stop()
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
