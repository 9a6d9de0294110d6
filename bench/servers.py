"""gunicorn's threads against granian, serving Refill: `python -m bench.servers` writes bench/servers.md.

granian is only needed here: `pip install granian`, then run. Figures are taken in alternating rounds; conduct is
what a server does with clients that are slow, send too much, or are in the middle of something when it stops.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench import conduct, database, http, load
from bench.harness import BenchError, Recorder
from bench.requests import BATCH
from local.embedded import EmbeddedError, free_port
from local.stack import Stack, procfile

ACCOUNTS = 1_000
DOCUMENT = Path(__file__).with_name("servers.md")
KINDS = ("bare", "spend", "usage", "webhook")
CRITERION = (
    "Chosen is gunicorn unless granian both serves spends and webhooks at least half as fast again and fails "
    "nothing of the conduct that gunicorn passes: a dropped request costs a retry of somebody's money, a faster "
    "empty view nothing."
)


def command(server: str, app: str, port: int) -> list[str]:
    """How a server serves an app with two processes of eight threads."""
    if server == "gunicorn":
        default = procfile()["web"]
        return [*(app if part == http.APP else part for part in default), f"--bind=127.0.0.1:{port}"]
    options = ["--interface=wsgi", "--host=127.0.0.1", f"--port={port}", "--workers=2"]
    options += ["--blocking-threads=8", "--backlog=2048", "--no-access-log", "--log-level=warning"]
    return [sys.executable, "-m", "granian", *options, app]


def main() -> int:
    """Compares, and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.servers", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--output", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    try:
        versions = {name: importlib.metadata.version(name) for name in ("gunicorn", "granian")}
    except importlib.metadata.PackageNotFoundError:
        parser.error("granian is not installed: .venv/bin/python -m pip install granian")
    recorder = Recorder(options.rounds, options.seconds)
    try:
        with Stack(programs=()) as stack:
            database.open_accounts(stack.services.postgres.url, ACCOUNTS)
            outcomes = _figures(stack, recorder)
            found = {server: _conduct(stack, server) for server in versions}
    except (BenchError, EmbeddedError) as error:
        print(f"\nservers: {error}", file=sys.stderr)
        return 1
    document = _document(versions, recorder, outcomes, found)
    options.output.write_text(document)
    print(f"\n{document}\nwritten to {options.output}")
    return 0


def _figures(stack: Stack, recorder: Recorder) -> http.Outcomes:
    """Every kind of request, to both servers in turn."""
    with ExitStack() as servers:
        specs: dict[str, load.Spec] = {}
        for server in ("gunicorn", "granian"):
            port, bare = free_port(), free_port()
            servers.enter_context(http.serving(stack, command(server, http.APP, port), port))
            servers.enter_context(http.serving(stack, command(server, http.BARE, bare), bare))
            found = http.kinds(stack, port, bare, ACCOUNTS, recorder.seconds)
            specs |= {f"{server} {kind}": spec for kind, spec in found.items()}
        return http.measure(recorder, stack, "servers (requests a second)", specs)


def _conduct(stack: Stack, server: str) -> dict[str, str]:
    """What a server does under each of the trials, in words."""
    print(f"  conduct of {server}", flush=True)
    key = http.api_key(stack)
    port = free_port()
    found = {"SIGTERM under load": _stop_under_load(stack, server, key, port)}
    with http.serving(stack, command(server, http.APP, port), port):
        for name, trial in conduct.TRIALS.items():
            found[name] = trial(port, key)
    return found


def _stop_under_load(stack: Stack, server: str, key: str, port: int) -> str:
    """SIGTERM in the middle of spends of 16 clients, and who is left without an answer.

    A request that is on its way to a connection that is being closed is lost with any server, so that those
    that were read count: what was booked and not answered.
    """
    spec = load.Spec(port, "spend", key, ACCOUNTS, seconds=2.0, warm_up=0.0, until_refused=True)
    url = stack.services.postgres.url
    before = _booked(url)
    with http.serving(stack, command(server, http.APP, port), port) as process, ThreadPoolExecutor(1) as pool:
        job = pool.submit(load.run, spec)
        time.sleep(1.0)
        started = time.monotonic()
        process.signal(signal.SIGTERM)
        outcome = job.result()
        process.wait()
        took = time.monotonic() - started
    answered = outcome.statuses.pop("200", 0)
    lost = _booked(url) - before - answered
    refused = f", other answers {outcome.statuses}" if outcome.statuses else ""
    return (
        f"{answered} answered, {lost} booked but unanswered, {outcome.dropped} closed unanswered{refused}; "
        f"ended after {took:.1f} s"
    )


def _booked(url: str) -> int:
    return int(database.execute(url, "select count(*) from billing.credit_usage_keys")[0][0])


def _document(
    versions: dict[str, str], recorder: Recorder, outcomes: http.Outcomes, found: dict[str, dict[str, str]]
) -> str:
    names = list(versions)
    heads = " | ".join(f"{name} {version}" for name, version in versions.items())
    lines = ["# Which server serves web", "", CRITERION, "", f"| | {heads} | ratio |", "|---|---|---|---|"]
    for kind in KINDS:
        unit, factor = ("events/s", BATCH) if kind == "usage" else ("requests/s", 1)
        rates = {name: [o.per_s * factor for o in outcomes[f"{name} {kind}"]] for name in names}
        medians = {name: recorder.keep(f"{name}.{kind}", rates[name]) for name in names}
        ratio = recorder.keep_ratio(f"ratio.{kind}", rates["granian"], rates["gunicorn"])
        tails = {
            n: recorder.keep(f"p99.{n}.{kind}", [o.p99_ms for o in outcomes[f"{n} {kind}"]]) for n in names
        }
        cells = " | ".join(f"{medians[name]:,.0f} (p99 {tails[name]:.0f} ms)" for name in names)
        lines.append(f"| {kind}, {unit} | {cells} | {ratio} |")
    lines += ["", "| conduct | " + " | ".join(names) + " |", "|---|---|---|"]
    lines += [
        f"| {trial} | " + " | ".join(found[name][trial] for name in names) + " |" for trial in found[names[0]]
    ]
    settings = (
        f"Two processes of eight threads, 16 clients, {recorder.rounds} rounds of {recorder.seconds:g} s."
    )
    return "\n".join([*lines, "", f"{settings} Made by `python -m bench.servers`.", ""])


if __name__ == "__main__":
    raise SystemExit(main())
