"""What the embedded servers have in common: a directory, a port, a guard process, start and stop."""

import atexit
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from local.embedded.errors import EmbeddedError
from local.embedded.guarded import Guarded

HOST = "127.0.0.1"
START_SECONDS = 60.0
LOCK_SECONDS = 60.0
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
        return probe.connect_ex((HOST, port)) == 0


class Server(ABC):
    """One server process. Without a directory it gets a temporary one, which `close` deletes.

    `owner` is the process whose end ends the server; by default this one.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM
    death_signal: ClassVar[int] = signal.SIGKILL

    def __init__(
        self, directory: Path | str | None = None, port: int | None = None, owner: int | None = None
    ) -> None:
        self._temporary = directory is None
        given = tempfile.mkdtemp(prefix=f"refill-{self.name}-") if directory is None else directory
        self.directory = Path(given).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        # Deleted by the guard when the owner ends without having called `close`.
        self.remove_if_abandoned = self.directory if self._temporary else None
        self._fixed_port = port
        self.port = port or free_port()
        self._owner = owner
        self.process: Guarded | None = None

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
        return self.process is not None and self.process.running

    @property
    def pid(self) -> int | None:
        """The server's main process."""
        return self.process.pid if self.process else None

    def start(self) -> Self:
        """Start and wait until it answers; a port taken meanwhile is replaced unless the caller chose it."""
        atexit.unregister(self.close)
        atexit.register(self.close)
        for _ in range(PORT_ATTEMPTS):
            if not self.running:
                self._launch()
            if self._answers():
                return self
            if self._fixed_port or "in use" not in self.log_tail():
                break
            self.port = free_port()
        raise EmbeddedError(f"{self.name} did not start on port {self.port}; its log:\n{self.log_tail()}")

    def stop(self) -> None:
        """Shut down cleanly; the data stays."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """SIGKILL the server and the processes it started, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process = None

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

    def detach(self) -> int:
        """Leave a running server to its owner; SIGTERM to the process returned stops it."""
        if self.process is None:
            raise EmbeddedError(f"{self.name} does not run")
        atexit.unregister(self.close)
        return self.process.guard_pid

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    # How it is done.

    def _launch(self) -> None:
        """Start the process; its guard holds the directory's lock as long as it lives."""
        lock = self._lock_directory()
        try:
            self.process = Guarded(
                self.command(),
                self.log_path,
                user=self.user,
                stop_signal=self.stop_signal,
                death_signal=self.death_signal,
                owner=self._owner,
                remove=self.remove_if_abandoned,
                hold=[lock],
            )
        finally:
            os.close(lock)

    def _lock_directory(self) -> int:
        """Wait for a predecessor that is still shutting down; two servers never share a directory."""
        path = self.directory / f"{self.name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    message = f"{self.name} already runs in {self.directory}; stop that one first"
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
