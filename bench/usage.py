"""Usage in SQL: batches of 1,000 events against the same events one by one, over one connection."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from bench import database
from bench.harness import Recorder

ACCOUNTS = 1_000
BATCH = 1_000
RECORD = "select billing.record_usage(%s::jsonb)"
SPEND = "select billing.spend_credits(%s, %s::jsonb)"


def run(server_url: str, recorder: Recorder) -> None:
    """Batches over many accounts and of one account, single events, single spends; then with rate cards and limits."""
    accounts = 20 if recorder.small else ACCOUNTS
    _plain(server_url, recorder, accounts)
    _metered(server_url, recorder, accounts)


def _metered(server_url: str, recorder: Recorder, accounts: int) -> None:
    with database.database(server_url, "bench_metered") as url:
        database.open_accounts(url, accounts)
        database.add_cards_and_limits(url, accounts)
        with psycopg.connect(url, autocommit=True) as connection:
            samples = recorder.alternate(
                "usage_sql with rate cards and limits (events a second)",
                {
                    "metered": lambda: _batches(connection, recorder.seconds, metered(events(accounts))),
                    "plain": lambda: _batches(connection, recorder.seconds, events(accounts)),
                },
            )
    recorder.keep("usage_sql.metered.events_per_s", samples["metered"])
    recorder.keep_ratio("usage_sql.metered.ratio_vs_plain_events", samples["metered"], samples["plain"])


def _plain(server_url: str, recorder: Recorder, accounts: int) -> None:
    with database.database(server_url, "bench_usage") as url:
        database.open_accounts(url, accounts)
        with psycopg.connect(url, autocommit=True) as connection:
            samples = recorder.alternate(
                "usage_sql (events a second)",
                {
                    "batches": lambda: _batches(connection, recorder.seconds, events(accounts)),
                    "batches of one account": lambda: _batches(connection, recorder.seconds, events(1)),
                    "one by one": lambda: _singles(connection, recorder.seconds, accounts),
                    "as spends": lambda: _spends(connection, recorder.seconds, accounts),
                },
            )
    batches = samples["batches"]
    recorder.keep("usage_sql.events_per_s", batches)
    recorder.keep("usage_sql.one_account.events_per_s", samples["batches of one account"])
    recorder.keep("usage_sql.one_by_one_per_s", samples["one by one"])
    recorder.keep("usage_sql.spends_per_s", samples["as spends"])
    recorder.keep_ratio("usage_sql.ratio_vs_one_by_one", batches, samples["one by one"])
    recorder.keep_ratio("usage_sql.ratio_vs_spends", batches, samples["as spends"])
    recorder.keep_ratio(
        "usage_sql.one_account.ratio_vs_one_by_one", samples["batches of one account"], samples["one by one"]
    )


_numbers = itertools.count(1)


def events(accounts: int) -> Iterator[dict[str, Any]]:
    """New events, each for one of the accounts, as platforms report them."""
    while True:
        number = next(_numbers)
        yield {
            "id": f"evt_{number:012}",
            "account_id": f"bench_{random.randint(1, accounts)}",
            "action": "message",
            "quantity": 1,
            "agent": "researcher",
            "run_id": f"run_{number // 50}",
        }


def metered(source: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events as calls of a model, counted in tokens."""
    for event in source:
        tokens = {name: random.randint(1, 5_000) for name in database.TOKEN_PRICES}
        yield event | {"action": "llm", "dimensions": {"model": random.choice(database.MODELS), **tokens}}


Row = tuple[Any, ...]


def _batches(connection: psycopg.Connection[Row], seconds: float, source: Iterator[dict[str, Any]]) -> float:
    def call() -> int:
        batch = list(itertools.islice(source, BATCH))
        answer = connection.execute(RECORD, [json.dumps(batch)], prepare=True).fetchone()
        return int(answer[0]["accepted"]) if answer else 0

    return _rate(call, seconds)


def _singles(connection: psycopg.Connection[Row], seconds: float, accounts: int) -> float:
    source = events(accounts)

    def call() -> int:
        answer = connection.execute(RECORD, [json.dumps([next(source)])], prepare=True).fetchone()
        return int(answer[0]["accepted"]) if answer else 0

    return _rate(call, seconds)


def _spends(connection: psycopg.Connection[Row], seconds: float, accounts: int) -> float:
    source = events(accounts)

    def call() -> int:
        event = next(source)
        account = event.pop("account_id")
        connection.execute(SPEND, [account, json.dumps(event)], prepare=True)
        return 1

    return _rate(call, seconds)


def _rate(call: Callable[[], int], seconds: float) -> float:
    """What the calls got done, by the second, for as long as told; one call to warm up."""
    call()
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not done:
        done += call()
    return done / elapsed
