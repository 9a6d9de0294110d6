"""PyPI's credit-ledger beside our ledger: the same server, both called from Python processes by psycopg."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

from credit_ledger import metering  # type: ignore[import-untyped]
from sqlalchemy import create_engine

from bench import database
from bench.harness import Recorder
from shared.db import PostgresDatabase
from shared.ledger import Ledger

ACCOUNTS = 1_000
PROCESSES_MAX = 8
WARM_UP_SECONDS = 2.0
LEAD_SECONDS = 0.3
"""How long before a round its processes are told, so that all begin at once."""


def run(server_url: str, recorder: Recorder) -> None:
    """Spends a second with 1 and 8 processes over many accounts, then 8 on one account."""
    accounts, most = (20, 2) if recorder.small else (ACCOUNTS, PROCESSES_MAX)
    with (
        database.database(server_url, "bench_peers") as url,
        ProcessPoolExecutor(most, mp_context=get_context("spawn")) as pool,
    ):
        database.open_accounts(url, accounts)
        database.load_reference(url, "credit_ledger")
        database.execute(
            url,
            "insert into credit_balance (tenant_id, credits)"
            f" select 'bench_' || i, 1000000000 from generate_series(1, {accounts}) i",
        )
        _warm_up(pool, url, most)
        for name, processes, spread_over in (("1", 1, accounts), ("8", most, accounts), ("hot", most, 1)):
            _measure(recorder, pool, url, name, processes, spread_over)
    group = "peers.credit_ledger"
    recorder.keep(f"{group}.spends_per_s", recorder.spread[f"{group}.connections_8.spends_per_s"]["samples"])
    recorder.keep_worst(
        f"{group}.ratio_ours_vs_credit_ledger",
        [f"{group}.connections_{n}.ratio_ours_vs_credit_ledger" for n in ("1", "8", "hot")],
    )


def _measure(
    recorder: Recorder, pool: ProcessPoolExecutor, url: str, name: str, processes: int, accounts: int
) -> None:
    def side(library: str) -> float:
        start = time.time() + LEAD_SECONDS
        job = partial(_spend, library, url, accounts, start, recorder.seconds)
        return sum(future.result() for future in [pool.submit(job) for _ in range(processes)])

    group = f"peers.credit_ledger.connections_{name}"
    samples = recorder.alternate(
        group, {library: partial(side, library) for library in ("ours", "credit-ledger")}
    )
    recorder.keep(f"{group}.spends_per_s", samples["credit-ledger"])
    recorder.keep(f"{group}.ours_per_s", samples["ours"])
    recorder.keep_ratio(f"{group}.ratio_ours_vs_credit_ledger", samples["ours"], samples["credit-ledger"])


def _warm_up(pool: ProcessPoolExecutor, url: str, processes: int) -> None:
    """Starts all processes and their connections."""
    start = time.time() + WARM_UP_SECONDS
    for library in ("ours", "credit-ledger"):
        jobs = [pool.submit(_spend, library, url, 1, start, 0.05) for _ in range(processes)]
        for job in jobs:
            job.result()


def _spend(library: str, url: str, accounts: int, start: float, seconds: float) -> float:
    """In a process of the pool: spends a second, from `start` on."""
    spend = _spender(library, url)
    time.sleep(max(0.0, start - time.time()))
    done, begun = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < seconds:
        spend(f"bench_{random.randint(1, accounts)}")
        done += 1
    return done / elapsed


@cache
def _spender(library: str, url: str) -> Callable[[str], None]:
    """Spends one credit of an account under a new id, over one connection that stays open."""
    numbers = itertools.count(1)

    def new_id() -> str:
        return f"evt_{os.getpid()}_{next(numbers)}"

    return _ours(url, new_id) if library == "ours" else _credit_ledger(url, new_id)


def _ours(url: str, new_id: Callable[[], str]) -> Callable[[str], None]:
    ledger = Ledger(PostgresDatabase(url, pool_size=1))

    def spend(account: str) -> None:
        ledger.spend_credits(account, {"id": new_id(), "action": "message", "quantity": 1})

    return spend


def _credit_ledger(url: str, new_id: Callable[[], str]) -> Callable[[str], None]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))

    def spend(account: str) -> None:
        charge = metering.decrement(account, 1, idempotency_key=new_id(), engine=engine)
        if not charge.ok:
            raise RuntimeError("credit-ledger refused a spend")

    return spend
