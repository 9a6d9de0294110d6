"""A hold and its settlement in SQL by pgbench, beside single spends on the same server."""

from __future__ import annotations

from functools import partial

from bench import database
from bench.database import REFERENCE
from bench.harness import Recorder
from bench.spend import ACCOUNTS

SCRIPTS = {"pairs": "hold_settle.sql", "spends": "spend_ours.sql"}


def run(server_url: str, recorder: Recorder) -> None:
    """1 and 8 connections over many accounts, then 8 on one account. A pair is two transactions."""
    accounts = 20 if recorder.small else ACCOUNTS
    with database.database(server_url, "bench_holds") as url:
        database.open_accounts(url, accounts)
        database.execute(url, "create sequence bench_events")
        for name, clients, over in (
            ("connections_1", 1, accounts),
            ("connections_8", 8, accounts),
            ("hot", 8, 1),
        ):
            _measure(recorder, url, f"hold_settle.{name}", clients, over)
    recorder.keep_worst(
        "hold_settle.ratio_vs_spend", [f"hold_settle.connections_{n}.ratio_vs_spend" for n in (1, 8)]
    )


def _measure(recorder: Recorder, url: str, group: str, clients: int, accounts: int) -> None:
    sides = {
        name: partial(
            database.pgbench,
            url,
            REFERENCE / script,
            "public",
            clients,
            recorder.seconds,
            {"accounts": accounts},
        )
        for name, script in SCRIPTS.items()
    }
    samples = recorder.alternate(group, sides)
    recorder.keep(f"{group}.pairs_per_s", samples["pairs"])
    recorder.keep_ratio(f"{group}.ratio_vs_spend", samples["pairs"], samples["spends"])
