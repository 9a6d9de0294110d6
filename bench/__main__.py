"""`python -m bench [names…] [--rounds N] [--seconds S]`: runs benchmarks and writes bench/results.json."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import charge, database, growth, http, peers, recovery, spend, sweep, usage
from bench.harness import BenchError, Recorder, table, write
from local.embedded import EmbeddedError
from local.stack import Stack

RESULTS = Path(__file__).with_name("results.json")
LIVE = ("web", "worker", "scheduler")
"""What runs beside the payments workers, which the benchmarks start and kill themselves."""

# Those of the server alone, those that start what they need beside it, and those of all processes at work.
IN_SQL: dict[str, Callable[[str, Recorder], None]] = {
    "spend": spend.run,
    "usage": usage.run,
    "peers": peers.run,
    "sweep": sweep.run,
    "growth": growth.run,
}
BESIDE: dict[str, Callable[[Stack, Recorder], None]] = {"http": http.run}
AT_WORK: dict[str, Callable[[Stack, Recorder], None]] = {"charge": charge.run, "recovery": recovery.run}
OPTIONAL = frozenset({"growth"})


def main() -> int:
    """Runs what was named, or all but what takes very long."""
    names = [*IN_SQL, *BESIDE, *AT_WORK]
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(names)}", metavar="name")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a side runs in a round")
    parser.add_argument("--small", action="store_true", help="tiny data: shows that it works, not how fast")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    wanted = options.names or [name for name in names if name not in OPTIONAL]
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names)}")
    recorder = Recorder(options.rounds, options.seconds, options.small)
    started = time.monotonic()
    try:
        version = _run(wanted, recorder)
    except (BenchError, EmbeddedError) as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    write(options.output, recorder, wanted, {"postgresql": version, "fsync": True})
    print(f"\n{table(recorder)}\n\n{time.monotonic() - started:,.0f} s; written to {options.output}")
    return 0


def _run(wanted: list[str], recorder: Recorder) -> str:
    """Runs the named groups and answers the version of the server."""
    with Stack(programs=()) as stack:
        url = stack.services.postgres.url
        version = database.server_version(url)
        for name in wanted:
            print(name, flush=True)
            if name in IN_SQL:
                IN_SQL[name](url, recorder)
            elif name in BESIDE:
                BESIDE[name](stack, recorder)
    live = [name for name in wanted if name in AT_WORK]
    if live:
        with Stack(programs=LIVE) as stack:
            for name in live:
                print(name, flush=True)
                AT_WORK[name](stack, recorder)
    return version


if __name__ == "__main__":
    raise SystemExit(main())
