"""The billing page of an account with a million usage events, beside an empty Flask view on the same server.

One client asks, as one person does. The account's events and their debits are of the last 30 days, by 8 agents,
5 actions, 40 members of 5 departments and runs of 50 events; the job has rolled them up, but for the last 1,000.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlsplit

from bench import database
from bench.harness import BenchError, Recorder
from bench.http import APP, BARE, serving
from local.embedded import free_port
from local.stack import Stack, procfile
from shared.settings import Settings
from web.local_login import login_url

ACCOUNT = "bench_pages"
ROWS = 1_000_000
LIVE_ROWS = 1_000
# Beyond every id that other groups draw.
FIRST = 1_000_000_000
"""Booked since the job ran."""
ROLL_UP_EVENTS = 50_000
FILL = """
insert into billing.credit_transactions
  (account_id, id, kind, counter_account, amount, balance_after, source_kind, source_id, created_at)
overriding system value
select '{account}', {first} + i, 'usage', 'usage', -1000000, 0, 'usage', '{prefix}' || i, at
  from generate_series(1, {rows}) i, lateral (select now() - interval '29 days' * (1 - i::float8 / {rows}) as at) t;
insert into billing.credit_usage (account_id, event_id, transaction_id, action, quantity, credits, agent, member_id,
  department_id, run_id, occurred_at, created_at)
select '{account}', '{prefix}' || i, {first} + i, 'action ' || i % 5, 1, 1000000, 'agent ' || i / 7 % 8,
  'member ' || i / 11 % 40, 'department ' || i / 11 % 5, 'run ' || i / 50, at, at
  from generate_series(1, {rows}) i, lateral (select now() - interval '29 days' * (1 - i::float8 / {rows}) as at) t
"""


def run(stack: Stack, recorder: Recorder) -> None:
    """p50 of the overview, of its usage by every dimension, and of the empty view, in turn."""
    rows, url = 5_000 if recorder.small else ROWS, stack.services.postgres.url
    database.execute(url, f"select billing.open_account('{ACCOUNT}', 'Pages', null, null, 0, 'bench')")
    print(f"  pages: booking {rows:,} events", flush=True)
    database.execute(url, FILL.format(account=ACCOUNT, prefix="old_", first=FIRST, rows=rows))
    after = ""
    while after is not None:
        after = database.execute(
            url, f"select billing.roll_up_usage('{after}', 100, {ROLL_UP_EVENTS})->>'next'"
        )[0][0]
    database.execute(url, FILL.format(account=ACCOUNT, prefix="new_", first=FIRST + rows, rows=LIVE_ROWS))
    database.execute(
        url, "vacuum analyze billing.credit_usage, billing.credit_transactions, billing.usage_rollups"
    )
    command = procfile()["web"]
    with ExitStack() as servers:
        port, bare_port = stack.port, free_port()
        servers.enter_context(serving(stack, [*command, f"--bind=127.0.0.1:{port}"], port))
        bare = [BARE if part == APP else part for part in command]
        servers.enter_context(serving(stack, [*bare, f"--bind=127.0.0.1:{bare_port}"], bare_port))
        cookie = _signed_in(stack, port)
        _require(f"{rows + LIVE_ROWS:,} events", port, cookie)
        pages = {"overview": (port, "/billing"), "usage": (port, "/billing/usage"), "bare": (bare_port, "/")}
        sides = {name: partial(_p50, *page, cookie, recorder.seconds) for name, page in pages.items()}
        samples = recorder.alternate("pages (ms at p50)", sides)
    recorder.keep("page_overview_ms.p50", samples["overview"])
    recorder.keep("page_overview_ms.bare_view_p50", samples["bare"])
    recorder.keep_ratio("page_overview_ms.ratio_vs_bare_view", samples["overview"], samples["bare"])
    recorder.keep("page_usage_ms.p50", samples["usage"])


def _signed_in(stack: Stack, port: int) -> str:
    """The cookie of an owner of the account."""
    link = urlsplit(login_url(Settings.model_validate(stack.settings), ACCOUNT))
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"{link.path}?{link.query}")
    answer = connection.getresponse()
    cookie = answer.getheader("Set-Cookie", "")
    connection.close()
    if answer.status != 303 or not cookie:
        raise BenchError(f"the sign-in link was answered with {answer.status}")
    return cookie.split(";")[0]


def _require(text: str, port: int, cookie: str) -> None:
    """The figure is of no worth unless the page has counted every event."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/billing", headers={"Cookie": cookie})
    page = connection.getresponse().read().decode()
    connection.close()
    if text not in page:
        raise BenchError(f"the overview does not say {text!r}")


def _p50(port: int, path: str, cookie: str, seconds: float) -> float:
    """The median time of a whole answer in milliseconds, one after the other, over one connection."""
    connection = HTTPConnection("127.0.0.1", port)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - start) * 1_000)
        if answer.status != 200:
            raise BenchError(f"{path} was answered with {answer.status}")
    connection.close()
    return statistics.median(times)
