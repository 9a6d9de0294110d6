"""A child process that ends when its owner does, whatever happens to the owner (see `guard.py`)."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from local.embedded.errors import EmbeddedError

GUARD = Path(__file__).with_name("guard.py")
STOP_SECONDS = 100.0


class Guarded:
    """One program with its output in a file.

    `owner` is the process whose end ends the program, by default this one. `remove` is a directory to delete
    when the owner ends without having done so. `hold` are open descriptors that the guard keeps open as long
    as it lives, for locks.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str = "",
        stop_signal: int = signal.SIGTERM,
        death_signal: int = signal.SIGKILL,
        owner: int | None = None,
        remove: Path | None = None,
        hold: Iterable[int] = (),
    ) -> None:
        self.log = log
        read_end, write_end = os.pipe()
        options = {
            "owner": owner or os.getpid(),
            "report": write_end,
            "user": user,
            "stop-signal": int(stop_signal),
            "death-signal": int(death_signal),
            "remove": remove or "",
        }
        guard = [
            sys.executable,
            "-I",
            "-S",
            str(GUARD),
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        try:
            with log.open("ab") as output:
                self._guard = subprocess.Popen(
                    [*guard, "--", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=env,
                    cwd=cwd,
                    pass_fds=(write_end, *hold),
                    start_new_session=True,
                )
        finally:
            os.close(write_end)
        with os.fdopen(read_end) as report:
            line = report.readline()
        self.pid = int(line) if line else 0

    @property
    def guard_pid(self) -> int:
        """The guard's process id; SIGTERM to it stops the program cleanly."""
        return self._guard.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; a program ended by signal n has 128 + n."""
        return self._guard.poll()

    @property
    def running(self) -> bool:
        return self.returncode is None

    def stop(self) -> int:
        """Ask it to end and wait until it has."""
        if self.running:
            self._guard.terminate()
        return self.wait()

    def kill(self) -> int:
        """SIGKILL it and every process it started, as a power cut would."""
        processes: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.running and self.pid:
                program = psutil.Process(self.pid)
                processes = [program, *program.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await_death(processes)
        return self.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the program itself."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = STOP_SECONDS) -> int:
        """Wait for its end and return its return code."""
        try:
            return self._guard.wait(timeout)
        except subprocess.TimeoutExpired:
            raise EmbeddedError(
                f"process {self.pid} still runs after {timeout:.0f} s; see {self.log}"
            ) from None


def await_death(processes: Iterable[psutil.Process], timeout: float = STOP_SECONDS) -> None:
    """Wait until none of them runs; who has to reap them is somebody else's affair."""
    deadline = time.monotonic() + timeout
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(0.005)
