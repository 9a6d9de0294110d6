"""Real processes for tests: started, watched through their log, killed."""

import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from local.embedded import Guarded, listening
from tests.support.wait import wait_until

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
# What a program needs from the surroundings; settings come from the test alone.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


class Proc:
    """`python -m MODULE ARGUMENTS…` with exactly the given settings. It ends when the test run does.

    with Proc("workers", "payments", env=settings, log=tmp_path / "payments.log") as worker:
        worker.wait_for_line("ready")
        worker.kill()
    """

    def __init__(
        self, module: str, *arguments: str, env: Mapping[str, str], log: Path, cwd: Path = ROOT
    ) -> None:
        self.command = [sys.executable, "-m", module, *arguments]
        self.log = log
        self._env = {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(env)
        self._env |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        self._cwd = cwd
        self._process: Guarded | None = None

    @property
    def process(self) -> Guarded:
        """The running process."""
        assert self._process is not None, "start it first"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; 128 + n when signal n ended it."""
        return self.process.returncode

    @property
    def output(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> Self:
        """Start it; the log is appended to, so a second start keeps the first one's output."""
        self._process = Guarded(self.command, self.log, env=self._env, cwd=self._cwd)
        return self

    def wait_for_line(self, pattern: str, timeout: float = 30.0) -> re.Match[str]:
        """Wait until its output matches the pattern; the match is returned."""
        return self._wait(
            lambda: re.search(pattern, self.output, re.MULTILINE), timeout, f"output {pattern!r}"
        )

    def wait_for_port(self, port: int, timeout: float = 30.0) -> None:
        """Wait until it accepts connections on a port of 127.0.0.1."""
        self._wait(lambda: listening(port), timeout, f"a listener on port {port}")

    def wait(self, timeout: float = 30.0) -> int:
        """Wait until it ends by itself; returns its return code."""
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL it and all processes it started."""
        self.process.kill()

    def terminate(self) -> int:
        """SIGTERM, then wait until it has ended; returns its return code."""
        return self.process.stop()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.signal(number)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.process.running:
            self.process.kill()
        if error is not None:
            error.add_note(f"--- {' '.join(self.command[1:])}\n{self.output[-4000:]}")

    def _wait(self, condition: Callable[[], T | None], timeout: float, what: str) -> T:
        def happened() -> T | None:
            ended = not self.process.running
            result = condition()
            if not result and ended:
                raise AssertionError(f"ended with {self.returncode} before {what}:\n{self.output[-4000:]}")
            return result

        return wait_until(happened, timeout, f"{what} of {' '.join(self.command[1:])}")
