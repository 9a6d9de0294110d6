"""What the embedded servers have in common: a directory, a port, a guard process, start and stop."""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import psutil

from local.embedded.errors import EmbeddedError

HOST = "127.0.0.1"
GUARD = Path(__file__).with_name("guard.py")
START_SECONDS = 60.0
STOP_SECONDS = 70.0
LOCK_SECONDS = 30.0
PORT_ATTEMPTS = 5
LOG_TAIL_LINES = 25


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether something accepts connections on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _await_death(processes: Sequence[psutil.Process]) -> None:
    """Wait until none of them runs; who has to reap them is somebody else's affair."""
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(0.005)


class Server(ABC):
    """One server process. Without a directory it gets a temporary one, which `close` deletes.

    `owner` is the process whose end ends the server; by default this one.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM
    death_signal: ClassVar[int] = signal.SIGKILL

    def __init__(self, directory: Path | str | None = None, port: int | None = None, owner: int | None = None) -> None:
        self._temporary = directory is None
        given = tempfile.mkdtemp(prefix=f"refill-{self.name}-") if directory is None else directory
        self.directory = Path(given).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._fixed_port = port
        self.port = port or free_port()
        self.owner = owner or os.getpid()
        self.pid: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    # What each kind of server defines.

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line, with the directory prepared."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the server answers."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect to."""

    @property
    def user(self) -> str:
        """The system user to run as; empty for the current one."""
        return ""

    # What callers use.

    @property
    def log_path(self) -> Path:
        """The server's own output."""
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process that `start` started still lives."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Self:
        """Start and wait until it answers; a port taken meanwhile is replaced unless the caller chose it."""
        if self.running:
            return self
        for attempt in range(PORT_ATTEMPTS):
            self._launch()
            if self._answers():
                atexit.register(self.close)
                return self
            if self._fixed_port or "in use" not in self.log_tail() or attempt == PORT_ATTEMPTS - 1:
                break
            self.port = free_port()
        raise EmbeddedError(f"{self.name} did not start on port {self.port}; its log ends with:\n{self.log_tail()}")

    def stop(self) -> None:
        """Shut down cleanly; the data stays."""
        if self._guard is not None and self._guard.poll() is None:
            self._guard.terminate()
        self._await_end()

    def kill(self) -> None:
        """SIGKILL the server and the processes it started, as a power cut would."""
        if self.pid is not None and self.running:
            with contextlib.suppress(psutil.NoSuchProcess):
                server = psutil.Process(self.pid)
                processes = [server, *server.children(recursive=True)]
                for process in processes:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
                _await_death(processes)
        self._await_end()

    def restart(self) -> Self:
        """Stop if it runs, then start on the same port and data."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop, and delete the directory if it is a temporary one."""
        self.stop()
        atexit.unregister(self.close)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    # How it is done.

    def _launch(self) -> None:
        """Start the guard, which starts the server; the guard holds the directory's lock as long as it lives."""
        lock = self._lock_directory()
        read_end, write_end = os.pipe()
        try:
            command = self.command()
            with self.log_path.open("ab") as log:
                self._guard = subprocess.Popen(
                    [*self._guard_command(write_end), "--", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(write_end, lock),
                    start_new_session=True,
                )
        finally:
            os.close(write_end)
            os.close(lock)
        with os.fdopen(read_end) as report:
            line = report.readline()
        self.pid = int(line) if line else None

    def _guard_command(self, report: int) -> list[str]:
        options = {
            "--owner": self.owner,
            "--report": report,
            "--user": self.user,
            "--stop-signal": int(self.stop_signal),
            "--death-signal": int(self.death_signal),
            "--remove": self.directory if self._temporary else "",
        }
        return [sys.executable, "-I", "-S", str(GUARD), *(f"{name}={value}" for name, value in options.items())]

    def _lock_directory(self) -> int:
        """Wait for a predecessor that is still shutting down; two servers never share a directory."""
        descriptor = os.open(self.directory / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    message = f"{self.name} already runs in {self.directory}; stop that one or use another directory"
                    raise EmbeddedError(message) from None
                time.sleep(0.1)
            else:
                return descriptor

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.running:
            if self.ready():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _await_end(self) -> None:
        """Wait for the guard, which ends after its server."""
        if self._guard is None:
            return
        try:
            self._guard.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"{self.name} (process {self.pid}) did not stop; see {self.log_path}") from None
        self._guard, self.pid = None, None
