"""The Python client in a process of its own: leased spends beside spends over HTTP, and what a usage() call costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from bench import database
from bench.harness import BenchError, Recorder
from bench.http import api_key, serving
from local.services import ROOT
from local.stack import Stack, procfile

SIDES = ("lease", "use", "usage", "usage_durable", "dumps")


def run(stack: Stack, recorder: Recorder) -> None:
    """One account, one thread. A lease of 10,000 messages is refilled by one call when a fifth of it is left."""
    database.open_accounts(stack.services.postgres.url, 1)
    with ExitStack() as servers:
        command = [*procfile()["web"], f"--bind=127.0.0.1:{stack.port}"]
        servers.enter_context(serving(stack, command, stack.port))
        key = api_key(stack)
        samples = recorder.alternate(
            "client (calls a second)",
            {side: partial(_measure, side, stack.port, key, recorder.seconds) for side in SIDES},
        )
    recorder.keep("lease.spends_per_s", samples["lease"])
    recorder.keep("client.uses_per_s", samples["use"])
    recorder.keep_ratio("lease.ratio_vs_use", samples["lease"], samples["use"])
    for name, side in (("ms_per_batched_event", "usage"), ("ms_per_durable_event", "usage_durable")):
        recorder.keep(f"client.{name}", [1000 / rate for rate in samples[side]])
    recorder.keep("client.ms_per_bare_dump", [1000 / rate for rate in samples["dumps"]])


def _measure(side: str, port: int, key: str, seconds: float) -> float:
    """Calls a second of a side, in a new process."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client' / 'src'}"}
    command = [sys.executable, "-m", "bench.client", side, str(port), key, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise BenchError(f"the client failed: {done.stderr}")
    return float(done.stdout)


def _main(side: str, port: str, key: str, seconds: str) -> None:
    """What the process does; prints calls a second."""
    from refill import Recording, Refill  # noqa: PLC0415 - on the path of this process alone

    def rate(call: Callable[[], object], rounds: int) -> float:
        for _ in range(rounds):
            call()
        done, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < float(seconds):
            for _ in range(rounds):
                call()
            done += rounds
        return done / elapsed

    event = {"action": "message", "quantity": 1, "agent": "researcher", "run_id": "run_1"}
    with (
        tempfile.TemporaryDirectory() as spool,
        Refill(
            f"http://127.0.0.1:{port}",
            key,
            "bench_1",
            spool=spool,
            recording=Recording(durable=side == "usage_durable", block=True),
        ) as client,
    ):
        if side == "lease":
            with client.lease("10000") as lease:
                print(rate(lambda: lease.spend("message"), 500))
        elif side == "use":
            print(rate(lambda: client.use("message"), 5))
        elif side == "dumps":
            print(rate(lambda: json.dumps(event), 500))
        else:
            print(rate(lambda: client.usage("message", agent="researcher", run_id="run_1"), 50))


if __name__ == "__main__":
    _main(*sys.argv[1:])
