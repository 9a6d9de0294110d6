"""The API over HTTP, beside an empty Flask view on the same server with the same settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException

from redis import Redis

from bench import database, load
from bench.harness import BenchError, Recorder
from bench.requests import BATCH
from local.embedded import Guarded, free_port, listening
from local.services import ROOT
from local.stack import Stack, procfile

ACCOUNTS = 1_000
START_SECONDS = 30.0
WARM_UP_SECONDS = 1.5
APP, BARE = "web.wsgi:app", "bench.reference.bare_view:app"

Outcomes = dict[str, list[load.Outcome]]


def run(stack: Stack, recorder: Recorder) -> None:
    """16 clients: the empty view, spends, batches of usage (plain, and priced by rate cards), webhooks.

    Every account has limits for the agent that all events name.
    """
    accounts = 20 if recorder.small else ACCOUNTS
    database.open_accounts(stack.services.postgres.url, accounts)
    database.add_cards_and_limits(stack.services.postgres.url, accounts)
    command = procfile()["web"]
    with ExitStack() as servers:
        port, bare_port = stack.port, free_port()
        servers.enter_context(serving(stack, [*command, f"--bind=127.0.0.1:{port}"], port))
        bare = [BARE if part == APP else part for part in command]
        servers.enter_context(serving(stack, [*bare, f"--bind=127.0.0.1:{bare_port}"], bare_port))
        specs = kinds(stack, port, bare_port, accounts, recorder.seconds)
        outcomes = measure(recorder, stack, "http (requests a second)", specs)
    _keep(recorder, outcomes)


def kinds(stack: Stack, port: int, bare_port: int, accounts: int, seconds: float) -> dict[str, load.Spec]:
    """What is sent of each kind, and where."""
    key = api_key(stack)
    secret = stack.settings["STRIPE_WEBHOOK_SECRET"]
    return {
        "bare": load.Spec(bare_port, "bare", seconds=seconds),
        "spend": load.Spec(port, "spend", key, accounts, seconds=seconds),
        "usage": load.Spec(port, "usage", key, accounts, seconds=seconds),
        "metered": load.Spec(port, "metered", key, accounts, seconds=seconds),
        "webhook": load.Spec(port, "webhook", secret, seconds=seconds),
    }


def api_key(stack: Stack) -> str:
    """A key that may spend and report usage for every account."""
    return stack.flask("api-keys", "create", "--name=bench", "--scopes=spend,usage").split()[-1]


def measure(recorder: Recorder, stack: Stack, title: str, specs: dict[str, load.Spec]) -> Outcomes:
    """Each kind in turn; every request has to be answered with 200."""
    outcomes: Outcomes = {kind: [] for kind in specs}

    def side(kind: str) -> float:
        outcome = load.run(specs[kind])
        if not outcome.clean:
            raise BenchError(f"{kind}: {outcome.statuses}, {outcome.dropped} dropped\n{stack.log_tails()}")
        outcomes[kind].append(outcome)
        with Redis.from_url(stack.services.redis.url) as redis:
            redis.flushdb()  # nobody works here on what the receiver enqueues
        return outcome.per_s

    recorder.alternate(title, {kind: partial(side, kind) for kind in specs})
    return outcomes


@contextmanager
def serving(stack: Stack, command: Sequence[str], port: int) -> Iterator[Guarded]:
    """A web server process with the stack's settings."""
    log = stack.logs / f"bench-{port}.log"
    process = Guarded(command, log, env=stack.environment, cwd=ROOT)
    try:
        await_true(lambda: _answers(port) or not process.running, f"a server on port {port}")
        if not process.running:
            raise BenchError(f"{' '.join(command)} ended:\n{log.read_text()}")
        load.run(load.Spec(port, "bare", seconds=WARM_UP_SECONDS))  # for the workers that came up later
        yield process
    finally:
        process.stop()


def _answers(port: int) -> bool:
    """Whether an application answers, not only a listening socket."""
    if not listening(port):
        return False
    connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    return False


def await_true(look: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    """Waits until it is so; BenchError that names it when it takes too long."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise BenchError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


def _keep(recorder: Recorder, outcomes: Outcomes) -> None:
    rates = {kind: [outcome.per_s for outcome in found] for kind, found in outcomes.items()}
    groups = {
        "bare": "bare_view",
        "spend": "spend_http",
        "usage": "usage_http",
        "metered": "usage_http.metered",
    }
    groups |= {"webhook": "webhook"}
    for kind, group in groups.items():
        recorder.keep(f"{group}.requests_per_s", rates[kind])
        recorder.keep(f"{group}.p50_ms", [outcome.p50_ms for outcome in outcomes[kind]])
        recorder.keep(f"{group}.p99_ms", [outcome.p99_ms for outcome in outcomes[kind]])
        if kind != "bare":
            recorder.keep_ratio(f"{group}.ratio_vs_bare_view", rates[kind], rates["bare"])
    for kind in ("usage", "metered"):
        recorder.keep(f"{groups[kind]}.events_per_s", [rate * BATCH for rate in rates[kind]])
