"""`python -m bench [names…] [--rounds N] [--seconds S]`: runs benchmarks and writes bench/results.json."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import (
    charge,
    client,
    database,
    growth,
    holds,
    http,
    pages,
    peers,
    reconcile,
    recovery,
    spend,
    sweep,
    usage,
)
from bench.harness import BenchError, Recorder, table, timed, write
from local.embedded import EmbeddedError
from local.stack import Stack

RESULTS = Path(__file__).with_name("results.json")
LIVE = ("web", "worker", "scheduler")
"""What runs beside the payments workers, which the benchmarks start and kill themselves."""

Group = Callable[[Stack, Recorder], None]


def _on_server(run: Callable[[str, Recorder], None]) -> Group:
    """A group that needs the database server alone."""
    return lambda stack, recorder: run(stack.services.postgres.url, recorder)


# Groups beside which nothing runs that they do not start, and groups with all processes at work.
IDLE: dict[str, Group] = {
    "spend": _on_server(spend.run),
    "holds": _on_server(holds.run),
    "usage": _on_server(usage.run),
    "peers": _on_server(peers.run),
    "sweep": _on_server(sweep.run),
    "growth": _on_server(growth.run),
    "http": http.run,
    "client": client.run,
    "pages": pages.run,
}
AT_WORK: dict[str, Group] = {"charge": charge.run, "recovery": recovery.run, "reconcile": reconcile.run}
OPTIONAL = frozenset({"growth", "reconcile"})


def main() -> int:
    """Runs what was named, or all but what takes very long."""
    names = [*IDLE, *AT_WORK]
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
    version = ""
    for programs, runs in ((), IDLE), (LIVE, AT_WORK):
        here = [name for name in wanted if name in runs]
        if not here:
            continue
        with Stack(programs=programs) as stack:
            version = database.server_version(stack.services.postgres.url)
            for name in here:
                print(name, flush=True)
                seconds = timed(partial(runs[name], stack, recorder))
                print(f"  {name}: {seconds:.0f} s in all", flush=True)
    return version


if __name__ == "__main__":
    raise SystemExit(main())
