"""The whole of Refill as real processes: the services, the schema, and the Procfile's programs, kept alive.

Used by `local.run`, `local.demo` and the flow tests::

    with Stack(port=8000) as stack:
        print(stack.url)
"""

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from local.embedded import EmbeddedError, Guarded, free_port, listening
from local.services import HOST, ROOT, Services

# What programs need from the surroundings; every setting of Refill comes from the stack alone.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "LOGNAME", "USER")
START_SECONDS = 60.0
STOP_SECONDS = 10.0
WATCH_SECONDS = 0.2
BACKOFF_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
HEALTHY_SECONDS = 30.0
LOG_TAIL_LINES = 15

Report = Callable[[str], None]


def procfile() -> dict[str, list[str]]:
    """The commands of the Procfile, for the Python that runs this."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    named = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): _with_this_python(shlex.split(command)) for name, command in named}


def _with_this_python(command: list[str]) -> list[str]:
    program, *arguments = command
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


class Program:
    """One program of the Procfile, started again when it ends by itself; a quick end lengthens the wait."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.process: Guarded | None = None
        self.starts = 0
        self._command = command
        self._environment = environment
        self._failures = 0
        self._started_at = 0.0
        self._due_at = 0.0

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.running

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        self.process = Guarded(self._command, self.log, env=self._environment, cwd=ROOT)
        self.starts += 1
        self._started_at = time.monotonic()
        self._due_at = 0.0

    def watch(self, report: Report) -> None:
        """Start it again if it has ended, after the wait that it has earned."""
        if self.running or self.process is None:
            return
        now = time.monotonic()
        if not self._due_at:
            self._failures = 0 if now - self._started_at > HEALTHY_SECONDS else self._failures + 1
            delay = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
            self._due_at = now + delay
            soon = f"in {delay:g} s" if delay else "now"
            report(f"{self.name} ended (status {self.process.returncode}), starting it again {soon}")
        elif now >= self._due_at:
            self.start()

    def stop(self) -> None:
        """Ask it to end; kill it when it takes too long."""
        process = self.process
        if process is None:
            return
        stopper = threading.Thread(target=process.stop, daemon=True)
        stopper.start()
        stopper.join(STOP_SECONDS)
        if stopper.is_alive():
            process.kill()


class Stack:
    """Services and programs. With a directory, data, ports and keys stay; without, all is temporary."""

    def __init__(
        self,
        directory: Path | None = None,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        programs: tuple[str, ...] = ("web", "payments", "worker", "scheduler"),
        report: Report = lambda _line: None,
        supervise: bool = True,
    ) -> None:
        self.port = port or free_port()
        self.services = Services(directory, self.port)
        self.directory = self.services.directory
        self.logs = self.directory / "logs"
        self.logs.mkdir(exist_ok=True)
        self.programs: dict[str, Program] = {}
        self._names = programs
        self._kept = directory is not None
        self._extra = dict(settings or {})
        self._report = report
        self._supervise = supervise
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where web answers."""
        return f"http://localhost:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """Refill's settings, as its programs get them."""
        return self.services.settings | self._extra

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of the programs."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return inherited | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)} | self.settings

    def start(self) -> Self:
        """Start everything and wait until web answers."""
        self.services.start()
        self._migrate()
        for name in self._names:
            self.launch(name)
        self._wait_for_web()
        if self._supervise:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def launch(self, name: str) -> None:
        """Start a program of the Procfile."""
        self.programs[name] = Program(name, procfile()[name], self.environment, self.logs / f"{name}.log")
        self.programs[name].start()

    def stop(self) -> None:
        """Stop the programs, all at once, then the services; deletes what is temporary."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(Program.stop, self.programs.values()))
        self.services.stop()

    def flask(self, *arguments: str) -> str:
        """The output of `flask --app web ARGUMENTS…`; EmbeddedError with its output when it fails."""
        result = self.try_flask(*arguments)
        if result.returncode:
            raise EmbeddedError(f"flask {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
        return result.stdout

    def try_flask(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `flask --app web ARGUMENTS…`, whatever its status; its errors go to the log cli.log as well."""
        command = [sys.executable, "-m", "flask", "--app", "web", *arguments]
        result = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        with (self.logs / "cli.log").open("a") as log:
            log.write(result.stderr)
        return result

    def log_tails(self) -> str:
        """The last lines of every log, for failures."""
        tails = []
        for path in sorted([*self.logs.glob("*.log"), *self.directory.glob("*.log")]):
            lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
            tails.append("\n".join([f"--- {path.name}", *lines]))
        return "\n".join(tails)

    def _migrate(self) -> None:
        try:
            self.flask("migrate")
        except EmbeddedError as error:
            advice = f"If these data may go, begin anew: rm -r {self.directory}" if self._kept else ""
            raise EmbeddedError(f"{error}{advice}") from None

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        web = self.programs.get("web")
        while web is not None and not listening(self.port):
            if not web.running or time.monotonic() > deadline:
                raise EmbeddedError(f"web did not start on {HOST}:{self.port}\n{self.log_tails()}")
            time.sleep(0.02)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            self._watch_services()
            for program in self.programs.values():
                program.watch(self._report)

    def _watch_services(self) -> None:
        """A service that ended comes back on its port and data; the programs wait for it meanwhile."""
        services = self.services
        stripe, supabase = services.stripe, services.supabase
        watched: list[tuple[str, bool, Callable[[], object]]] = [
            ("PostgreSQL", services.postgres.running, services.postgres.start),
            ("Redis", services.redis.running, services.redis.start),
            ("the local Stripe", stripe is not None and stripe.running, services.start_stripe),
            ("the local Supabase", supabase is not None and supabase.running, services.start_supabase),
        ]
        for name, running, start in watched:
            if not running and not self._stopping.is_set():
                self._report(f"{name} ended, starting it again")
                with contextlib.suppress(EmbeddedError):
                    start()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_exception: object) -> None:
        self.stop()
