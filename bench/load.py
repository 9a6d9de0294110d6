"""The load generator, from outside: what to send, and what came back.

It is a process of its own, `python -m bench.generator`, so that nothing here slows it down.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.harness import BenchError


@dataclass(frozen=True)
class Spec:
    """What to send, where, how long."""

    port: int
    kind: str
    secret: str = ""
    """The API key, or the webhooks' signing secret."""
    accounts: int = 1
    clients: int = 16
    seconds: float = 2.0
    warm_up: float = 0.3
    until_refused: bool = False
    """End without complaint once nobody listens any more."""


@dataclass
class Outcome:
    """What came back. `dropped`: connections that ended instead of answering."""

    per_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    answered: int = 0
    dropped: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether every request was answered with 200."""
        return self.answered > 0 and not self.dropped and set(self.statuses) == {"200"}


def run(spec: Spec) -> Outcome:
    """Runs the generator in a process of its own."""
    command = [sys.executable, "-m", "bench.generator"]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        command, input=json.dumps(asdict(spec)), capture_output=True, text=True, cwd=root, check=False
    )
    if done.returncode:
        raise BenchError(f"the load generator failed: {done.stderr}")
    return Outcome(**json.loads(done.stdout))
